/** The export of a notebook as a pipeline: what was found, where to, when. */

import * as React from 'react';

import type { Api } from '../api';
import { size } from '../format';
import type { Exporter, Pipeline, Problem } from '../wire';
import { CronField } from './cronField';
import { Given, ParameterTable } from './parameterTable';

const NAME = /^[\p{L}\p{N}_.-]+( [\p{L}\p{N}_.-]+)*$/u;

/** What the user asks for; the paths are those of the server's files. */
export interface ExportAsked {
  to: Exporter;
  output: string;
  lock: boolean;
  prove: boolean;
  expression: string | null;
  timezone: string | null;
  /** What its schedule is called. */
  scheduleName: string;
  /** Whether that is one which is there already, and is to run this from now on. */
  replaces: boolean;
  /** Other defaults for parameters, as text. */
  given: Given;
}

export interface ExportFormProps {
  api: Api;
  pipeline: Pipeline;
  targets: readonly Exporter[];
  /** The names that other schedules have. */
  taken: ReadonlySet<string>;
  asked: ExportAsked;
  onChange: (asked: ExportAsked) => void;
  onProblem: (cell: number) => void;
}

export function ExportForm({
  api,
  pipeline,
  targets,
  taken,
  asked: given,
  onChange,
  onProblem
}: ExportFormProps): React.ReactElement {
  const [asked, setAsked] = React.useState(given);
  const change = (part: Partial<ExportAsked>) => {
    const next = { ...asked, ...part };
    setAsked(next);
    onChange(next);
  };
  const errors = pipeline.problems.filter(problem => problem.level === 'error');
  return (
    <div className="cy-form">
      <Found pipeline={pipeline} />
      {pipeline.problems.length ? <ProblemList problems={pipeline.problems} onChoose={onProblem} /> : null}
      {errors.length ? (
        <p className="cy-error" role="alert">
          It cannot be exported before {errors.length === 1 ? 'this is' : 'these are'} mended.
        </p>
      ) : null}
      {pipeline.parameters.length ? (
        <ParameterTable
          parameters={pipeline.parameters}
          given={asked.given}
          onChange={given => change({ given })}
        />
      ) : null}
      <label className="cy-field">
        <span>Target</span>
        <select
          className="cy-select"
          value={asked.to.name}
          onChange={event => change({ to: targets.find(each => each.name === event.target.value) })}
        >
          {targets.map(({ name, title, problem }) => (
            <option key={name} value={name} disabled={Boolean(problem)} title={problem}>
              {title}
            </option>
          ))}
        </select>
      </label>
      <label className="cy-field">
        <span>Folder</span>
        <input
          className="jp-mod-styled cy-input"
          value={asked.output}
          aria-invalid={!isFolder(asked.output)}
          onChange={event => change({ output: event.target.value })}
        />
        <small>Where the files are written, among those of JupyterLab.</small>
        {isFolder(asked.output) ? null : (
          <p className="cy-error" role="alert">
            It needs a folder of its own.
          </p>
        )}
      </label>
      {asked.to.writes_bundle ? (
        <>
          <label className="cy-field cy-field-switch">
            <input
              type="checkbox"
              checked={asked.lock}
              onChange={event => change({ lock: event.target.checked })}
            />
            <span>Lock the packages</span>
            <small>Exactly the versions of now, with their hashes. Asks the package registry.</small>
          </label>
          <label className="cy-field cy-field-switch">
            <input
              type="checkbox"
              checked={asked.prove}
              onChange={event => change({ prove: event.target.checked })}
            />
            <span>Prove it</span>
            <small>
              Runs notebook and bundle from empty, and compares every value. Takes as long as both runs.
            </small>
          </label>
        </>
      ) : null}
      {asked.to.writes_bundle || asked.to.keeps_time ? (
        <CronField
          api={api}
          expression={asked.expression ?? ''}
          timezone={asked.timezone ?? ''}
          onChange={(expression, timezone) =>
            change({ expression: expression.trim() ? expression : null, timezone: timezone || null })
          }
        />
      ) : null}
      {asked.to.writes_bundle && asked.expression ? (
        <p className="cy-muted cy-beside">
          The engine of this machine runs it at these times, while it is there.
        </p>
      ) : null}
      {asked.to.writes_bundle ? <ScheduleName taken={taken} asked={asked} onChange={change} /> : null}
    </div>
  );
}

interface ScheduleNameProps {
  taken: ReadonlySet<string>;
  asked: ExportAsked;
  onChange: (part: Partial<ExportAsked>) => void;
}

/** The name of its schedule, and whether that takes the place of one that is there: without times, too. */
function ScheduleName({ taken, asked, onChange }: ScheduleNameProps): React.ReactElement {
  const { scheduleName: name, replaces, expression } = asked;
  const isTaken = taken.has(name.trim());
  const isUndecided = isTaken && !replaces;
  const isWrong = !NAME.test(name.trim());
  return (
    <>
      {expression ? (
        <label className="cy-field">
          <span>Name</span>
          <input
            className="jp-mod-styled cy-input"
            value={name}
            aria-invalid={isUndecided || isWrong}
            onChange={event => onChange({ scheduleName: event.target.value, replaces: false })}
          />
          <small>What it is called among the others.</small>
        </label>
      ) : null}
      {expression && (isUndecided || isWrong) ? (
        <p className="cy-error" role="alert">
          {isWrong
            ? 'A name has letters, digits, dots, dashes and single spaces.'
            : `There is a schedule ${name} already. Replace it, or choose another name.`}
        </p>
      ) : isTaken ? (
        <p className="cy-muted cy-beside">There is a schedule {name} already.</p>
      ) : null}
      {isTaken ? (
        <label className="cy-field cy-field-switch">
          <input
            type="checkbox"
            checked={replaces}
            onChange={event => onChange({ replaces: event.target.checked })}
          />
          <span>Replace it</span>
          <small>
            It runs this from now on, {expression ? 'at these times' : 'at the times that it has'}. Its
            history and its settings stay.
          </small>
        </label>
      ) : null}
    </>
  );
}

/** Whether a schedule is to be made, or to be another than it was. */
export function isScheduling({ to, expression, replaces }: ExportAsked): boolean {
  return to.writes_bundle && (expression !== null || replaces);
}

/** Whether it is a folder of its own, and not the one that has everything. */
function isFolder(path: string): boolean {
  return path.split('/').some(part => !['', '.', '..'].includes(part.trim()));
}

function Found({ pipeline }: { pipeline: Pipeline }): React.ReactElement {
  const { steps } = pipeline;
  const known = new Set(steps.map(step => step.name));
  if (!steps.length) {
    return (
      <p>
        There is nothing to export: the notebook has no steps. A cell whose first line is <code>%%step</code>{' '}
        is one.
      </p>
    );
  }
  // A step may say that it comes after one that does not exist: that is among the problems.
  const edges = pipeline.edges.filter(edge => known.has(edge.from));
  const before = (name: string) => edges.filter(edge => edge.to === name).map(edge => edge.from);
  return (
    <details open={steps.length <= 8}>
      <summary>
        {steps.length === 1 ? 'One step' : `${steps.length} steps`},{' '}
        {edges.length === 1 ? 'one connection' : `${edges.length} connections`}
      </summary>
      <ul className="cy-plain cy-found-steps">
        {steps.map(step => (
          <li key={step.name}>
            <code>{step.name}</code>{' '}
            <span className="cy-muted">{step.marked ? size(step.resources) : 'plain cell'}</span>
            {before(step.name).length ? (
              <span className="cy-muted">, after {[...new Set(before(step.name))].join(', ')}</span>
            ) : null}
          </li>
        ))}
      </ul>
    </details>
  );
}

interface ProblemListProps {
  problems: readonly Problem[];
  onChoose: (cell: number) => void;
}

export function ProblemList({ problems, onChoose }: ProblemListProps): React.ReactElement {
  return (
    <section className="cy-problems" aria-label="Problems">
      <h3>{problems.length === 1 ? 'One problem' : `${problems.length} problems`} for a pipeline</h3>
      <ul className="cy-plain">
        {problems.map((problem, at) => (
          <li key={at}>
            <button className="cy-link" onClick={() => onChoose(problem.cell)}>
              Cell {problem.cell + 1}, line {problem.line}
            </button>
            <span className="cy-muted"> {problem.level}: </span>
            {problem.message} <span className="cy-muted">{problem.hint}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
