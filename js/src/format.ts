/** Numbers in words. Pure. */

import type { Reference, Resources, Run, State } from './wire';

/** Between a number and its unit no line ends. */
const GLUE = '\u00a0';
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(size: number): string {
  let value = size;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : Number(value.toFixed(1))}${GLUE}${UNITS[unit]}`;
}

export function duration(seconds: number): string {
  if (seconds < 1) {
    return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  }
  if (seconds < 10) {
    return `${seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  if (whole < 60) {
    return `${whole} s`;
  }
  const [minutes, rest] = [Math.floor(whole / 60), whole % 60];
  if (minutes < 60) {
    return rest ? `${minutes} min ${rest} s` : `${minutes} min`;
  }
  return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.floor(minutes / 60)} h`;
}

// Made once: making one takes longer than formatting a thousand times, and so does throwing it away.
const TIME = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat([], { day: 'numeric', month: 'short' });
const DAY_OF_YEAR = new Intl.DateTimeFormat([], { day: 'numeric', month: 'short', year: 'numeric' });

/** A moment, as near as one needs it: the time today, else the day. */
export function moment(seconds: number, now = new Date()): string {
  const when = new Date(seconds * 1000);
  if (when.toDateString() === now.toDateString()) {
    return TIME.format(when);
  }
  return (when.getFullYear() === now.getFullYear() ? DAY : DAY_OF_YEAR).format(when);
}

/** A time as the clocks of a zone show it. */
export function inZone(time: string, timeZone: string): string {
  const format: Intl.DateTimeFormatOptions = {
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
    timeZoneName: 'short'
  };
  return new Date(time).toLocaleString([], timeZone ? { ...format, timeZone } : format);
}

export function size(resources: Resources): string {
  const parts = [`${Number(resources.cpu.toFixed(2))}${GLUE}CPU`];
  if (resources.memory) {
    parts.push(bytes(resources.memory));
  }
  if (resources.gpu) {
    parts.push(`${resources.gpu} GPU`);
  }
  return parts.join(', ');
}

/** What went wrong, in words. */
export function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

interface Timed {
  state: State;
  seconds: number | null;
  started: number | null;
}

/** Seconds that it took, or has been running; null where nothing is known. */
export function ranFor(what: Timed, now: number, isLive: boolean): number | null {
  return what.seconds ?? (what.started && isLive && what.state === 'running' ? now - what.started : null);
}

export function fileName(path: string): string {
  return path.split('/').pop() ?? path;
}

/** What was run: a notebook, by its name; or a schedule, whose bundle lies among the engine's files. */
export function sourceName({ notebook, tags }: Run): string {
  const schedule = tags.find(tag => tag.startsWith('schedule:'));
  return schedule ? `schedule ${schedule.slice('schedule:'.length)}` : fileName(notebook);
}

/** What a state is called; `waiting` is what a user sees of "queued". */
export function stateWord(state: State | undefined): string {
  return state === undefined ? 'not run' : state === 'queued' ? 'waiting' : state;
}

/** What a value is, in a few words. */
export function kind(reference: Reference, name: string): string {
  const seen = reference.previews[name];
  return [seen?.type.split('.').pop(), seen?.shape, bytes(reference.size)].filter(Boolean).join(', ');
}

const COLOURS = /\u001b\[[0-9;]*m/g;

/** A text without what tells a terminal its colours. */
export function uncoloured(text: string): string {
  return text.replace(COLOURS, '');
}
