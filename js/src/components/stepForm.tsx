/** A form for the `%%step` line. What it does not know of the line stays as it was written. */

import { Dialog, ReactWidget } from '@jupyterlab/apputils';
import * as React from 'react';

import { type Api, ApiError } from '../api';
import { nameOf, quoted, switchesOf, valuesOf, withName, withValues, words } from '../stepLine';
import type { StepOption } from '../wire';
import { useAnswer } from './hooks';

const FIRST = ['--cpu', '--memory', '--gpu', '--timeout', '--retries'];
const PAUSE = 250;
const GOOD = 'The line is a good one.';
const FILLED_IN = 'What is in braces is filled in when the cell runs; the line is checked then.';

interface StepFormProps {
  line: string;
  options: readonly StepOption[];
  api: Api;
  onChange: (line: string) => void;
}

function StepForm({ line: given, options, api, onChange }: StepFormProps): React.ReactElement {
  const [line, setLine] = React.useState(given);
  const switches = React.useMemo(() => switchesOf(options), [options]);
  // What the kernel fills in is not known here.
  const isWhole = !/[{}]/.test(line);
  const ask = isWhole ? () => api.checkLine(line).then(() => GOOD, unchecked) : null;
  const { value: checked, error: wrong } = useAnswer(ask, [api, line], { pause: PAUSE });
  const change = (next: string) => {
    setLine(next);
    onChange(next);
  };
  const field = (option: StepOption) => (
    <Field key={option.flag} option={option} line={line} onChange={change} />
  );
  return (
    <div className="cy-form">
      <label className="cy-field">
        <span>Name</span>
        <input
          className="jp-mod-styled cy-input"
          value={nameOf(line, switches)}
          placeholder="from the code"
          onChange={event => change(withName(line, event.target.value.trim(), switches))}
        />
        <small>How it is called in graphs, runs and exports.</small>
      </label>
      {options.filter(option => FIRST.includes(option.flag)).map(field)}
      <details>
        <summary>All options</summary>
        {options.filter(option => !FIRST.includes(option.flag)).map(field)}
      </details>
      <p className="cy-line-made">
        <code>%%step {line}</code>
      </p>
      <p className={wrong ? 'cy-error' : 'cy-muted'} role="status">
        {wrong || (isWhole ? checked : FILLED_IN)}
      </p>
    </div>
  );
}

/** What is said where nobody could say whether a line is good. */
function unchecked(error: unknown): string {
  if (error instanceof ApiError && (error.status === 0 || error.status === 503)) {
    return 'The line is not checked: no engine runs that could be asked.';
  }
  throw error;
}

interface FieldProps {
  option: StepOption;
  line: string;
  onChange: (line: string) => void;
}

function Field({ option, line, onChange }: FieldProps): React.ReactElement {
  const id = React.useId();
  const isSwitch = option.metavar === null;
  const values = valuesOf(line, option.flag, isSwitch);
  const label = labelOf(option.flag);
  if (isSwitch) {
    return (
      <label className="cy-field cy-field-switch">
        <input
          type="checkbox"
          checked={values.length > 0}
          onChange={event => onChange(withValues(line, option.flag, event.target.checked ? [''] : [], true))}
        />
        <span>{label}</span>
        <small>{option.help}</small>
      </label>
    );
  }
  // Of one that repeats the values stand beside each other, and one with a space in it has quotes.
  const join = (given: string[]) => (option.repeats ? given.map(quoted) : given).join(' ');
  const split = (text: string) =>
    (option.repeats ? words(text).map(word => word.text) : [text.trim()]).filter(Boolean);
  return (
    <label className="cy-field">
      <span>{label}</span>
      <Text
        value={join(values)}
        isValue={text => join(split(text)) === join(values)}
        example={option.example.replace(option.flag, '').trim()}
        list={option.values.length ? id : undefined}
        onChange={text => onChange(withValues(line, option.flag, split(text), false))}
      />
      {option.values.length ? (
        <datalist id={id}>
          {option.values.map(value => (
            <option key={value} value={value} />
          ))}
        </datalist>
      ) : null}
      <small>{option.help}</small>
    </label>
  );
}

function labelOf(flag: string): string {
  const words = flag.slice(2).replace(/-/g, ' ');
  return ['cpu', 'gpu'].includes(words) ? words.toUpperCase() : words[0].toUpperCase() + words.slice(1);
}

interface TextProps {
  value: string;
  /** Whether a text says the same. */
  isValue: (text: string) => boolean;
  example: string;
  list: string | undefined;
  onChange: (text: string) => void;
}

/** Keeps what is being typed, a space at its end and a quote that is still open included, which the line would lose. */
function Text({ value, isValue, example, list, onChange }: TextProps): React.ReactElement {
  const [typed, setTyped] = React.useState(value);
  return (
    <input
      className="jp-mod-styled cy-input"
      value={isValue(typed) ? typed : value}
      placeholder={example && `e.g. ${example}`}
      list={list}
      onChange={event => {
        setTyped(event.target.value);
        onChange(event.target.value);
      }}
    />
  );
}

class StepFormBody extends ReactWidget implements Dialog.IBodyWidget<string> {
  private line: string;

  constructor(
    given: string,
    private readonly options: readonly StepOption[],
    private readonly api: Api
  ) {
    super();
    this.line = given;
  }

  getValue(): string {
    return this.line;
  }

  protected override render(): React.ReactElement {
    const onChange = (line: string) => {
      this.line = line;
    };
    return <StepForm line={this.line} options={this.options} api={this.api} onChange={onChange} />;
  }
}

/** What the user makes of the line; null when they leave it as it is. */
export async function editLine(
  title: string,
  line: string,
  options: readonly StepOption[],
  api: Api
): Promise<string | null> {
  const dialog = new Dialog({
    title,
    body: new StepFormBody(line, options, api),
    focusNodeSelector: '.cy-input',
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: 'Apply' })]
  });
  dialog.addClass('cy-dialog');
  const { button, value } = await dialog.launch();
  return button.accept && value !== null ? value.trim() : null;
}
