/** The `%%step` line of a cell as text: found, taken apart, changed. The grammar itself is Python's. Pure. */

import type { StepOption } from './wire';

/** As IPython reads a cell: blank lines above the mark and its indentation count for nothing. */
const HEAD = /^((?:[^\S\n]*\n)*)([^\S\n]*)%%step(?:[^\S\n]+([^\n]*))?(?:\n|$)/;

export interface Word {
  text: string;
  start: number;
  end: number;
}

/** What stands behind `%%step` in a cell's first line; null when the cell is no step. */
export function lineOf(source: string): string | null {
  const found = HEAD.exec(source);
  return found ? (found[3] ?? '').trim() : null;
}

/** The number of the cell's line that has the mark; -1 when the cell is no step. */
export function rowOf(source: string): number {
  const found = HEAD.exec(source);
  return found ? found[1].split('\n').length - 1 : -1;
}

/** The words of a line, quoted ones whole, and where they stand. A quote that is never closed is part of its word. */
export function words(line: string): Word[] {
  const found: Word[] = [];
  for (const match of line.matchAll(/(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"']|["'])+/g)) {
    found.push({ text: unquoted(match[0]), start: match.index, end: match.index + match[0].length });
  }
  return found;
}

/** The flags that take no value. */
export function switchesOf(options: readonly StepOption[]): ReadonlySet<string> {
  return new Set(options.filter(option => option.metavar === null).map(option => option.flag));
}

/** The step's name in a line; empty when it has none. `switches` are the flags that take no value. */
export function nameOf(line: string, switches: ReadonlySet<string>): string {
  return nameIn(line, switches)?.text ?? '';
}

function nameIn(line: string, switches: ReadonlySet<string>): Word | undefined {
  const found = words(line);
  for (let at = 0; at < found.length; at++) {
    const word = found[at].text;
    if (!word.startsWith('-')) {
      return found[at];
    }
    if (!word.includes('=') && !switches.has(word)) {
      at += 1;
    }
  }
  return undefined;
}

/** The values given to a flag, in order; a switch that is there has one empty value. */
export function valuesOf(line: string, flag: string, isSwitch: boolean): string[] {
  const found = words(line);
  const values: string[] = [];
  found.forEach((word, at) => {
    if (word.text === flag) {
      values.push(isSwitch ? '' : (found[at + 1]?.text ?? ''));
    } else if (word.text.startsWith(`${flag}=`)) {
      values.push(word.text.slice(flag.length + 1));
    }
  });
  return values;
}

/** The line with a flag given these values, where it stood or at the end; all else stays as it was written. */
export function withValues(line: string, flag: string, values: readonly string[], isSwitch: boolean): string {
  const found = words(line);
  const texts: string[] = [];
  let place = -1;
  for (let at = 0; at < found.length; at++) {
    const word = found[at].text;
    if (word === flag || word.startsWith(`${flag}=`)) {
      place = place < 0 ? texts.length : place;
      at += word === flag && !isSwitch ? 1 : 0;
    } else {
      texts.push(line.slice(found[at].start, found[at].end));
    }
  }
  const made = values.map(value => (isSwitch ? flag : `${flag} ${quoted(value)}`));
  texts.splice(place < 0 ? texts.length : place, 0, ...made);
  return texts.join(' ');
}

/** The line with another name, where the old one stood or at the front; all else stays as it was written. */
export function withName(line: string, name: string, switches: ReadonlySet<string>): string {
  const old = nameIn(line, switches);
  const [before, after] = old ? [line.slice(0, old.start), line.slice(old.end)] : ['', ` ${line}`];
  return (name ? before + quoted(name) + after : before + after.trimStart()).trim();
}

/** The cell with another line, where the old one stood or at the top. */
export function withLine(source: string, line: string): string {
  const [head, above, indent] = HEAD.exec(source) ?? ['', '', ''];
  return `${above}${indent}${`%%step ${line}`.trimEnd()}\n${source.slice(head.length)}`;
}

/** The code below the line, as the engine records it. */
export function bodyOf(source: string): string {
  const [head, , indent] = HEAD.exec(source) ?? ['', '', ''];
  const lines = source.slice(head.length).split('\n');
  return lines.map(line => (line.startsWith(indent) ? line.slice(indent.length) : line)).join('\n');
}

/** A name for a step, from what its cell does; not one of those taken. */
export function proposeName(source: string, taken: ReadonlySet<string>): string {
  const bound = /^([A-Za-z_]\w*)\s*(?::[^=\n]+)?=[^=]/m.exec(source)?.[1] ?? 'step';
  for (let number = 1; ; number++) {
    const name = number === 1 ? bound : `${bound}_${number}`;
    if (!taken.has(name)) {
      return name;
    }
  }
}

/** A value as one word of a line. */
export function quoted(value: string): string {
  return /^[^\s"'\\]+$/.test(value) ? value : `'${value.replace(/'/g, `'"'"'`)}'`;
}

function unquoted(text: string): string {
  return text.replace(/"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/g, (_, double, single, escaped) =>
    double !== undefined ? double.replace(/\\(["\\])/g, '$1') : (single ?? escaped)
  );
}
