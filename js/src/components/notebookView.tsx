/** The steps of the notebook in front, as a graph and as a table that says the same. */

import * as React from 'react';

import { duration, fileName, ranFor, size, uncoloured } from '../format';
import type { NotebookModel, NotebookStep } from '../notebookModel';
import type { Notebooks } from '../notebooks';
import { Decision, ENDED } from '../wire';
import { ProblemList } from './exportForm';
import { GraphView } from './graphView';
import { useNow, useSignal } from './hooks';
import { StateMark } from './stateMark';

const LOAD = /^\s*%(re)?load_ext\s+(kernel_magics|cellyard)\b/m;

export interface NotebookActions {
  runAll: () => void;
  runFrom: (step: NotebookStep) => void;
  stop: (step: NotebookStep) => void;
  stopAll: () => void;
  goTo: (step: NotebookStep) => void;
  goToCell: (index: number) => void;
  edit: (step: NotebookStep) => void;
  openRun: (run: number) => void;
  insertLoad: () => void;
  makeStep: () => void;
  exportPipeline: () => void;
  plan: () => void;
  runInBackground: () => void;
}

export interface NotebookViewProps {
  notebooks: Notebooks;
  isLive: boolean;
  actions: NotebookActions;
}

type Form = 'graph' | 'table';

export function NotebookView({ notebooks, isLive, actions }: NotebookViewProps): React.ReactElement {
  useSignal(notebooks.frontChanged);
  const [form, setForm] = React.useState<Form>('graph');
  const { front } = notebooks;
  if (!front) {
    return <p className="cy-empty">Open a notebook, and its steps appear here.</p>;
  }
  return <OpenNotebook key={front.panel.id} model={front} {...{ form, setForm, isLive, actions }} />;
}

interface OpenNotebookProps {
  model: NotebookModel;
  form: Form;
  setForm: (form: Form) => void;
  isLive: boolean;
  actions: NotebookActions;
}

function OpenNotebook({ model, form, setForm, isLive, actions }: OpenNotebookProps): React.ReactElement {
  const { content } = model.panel;
  useSignal(model.changed, content.activeCellChanged);
  const [chosen, choose] = React.useState('');
  const isRunning = isLive && model.steps.some(step => step.record && !ENDED.has(step.record.state));
  const now = useNow(isRunning);
  if (!model.steps.some(step => step.marked)) {
    return model.isPython ? (
      <Teaching
        actions={actions}
        isLoaded={content.widgets.some(cell => LOAD.test(cell.model.sharedModel.source))}
        isCode={content.activeCell?.model.type === 'code'}
      />
    ) : (
      <p className="cy-empty">Steps are cells of notebooks in Python; this one is in another language.</p>
    );
  }
  const step = model.steps.find(each => each.cell === chosen);
  const problems = model.pipeline?.problems ?? [];
  const onChoose = (each: NotebookStep) => {
    choose(each.cell);
    actions.goTo(each);
  };
  return (
    <div className="cy-notebook">
      <div className="cy-head">
        <h3 title={model.panel.context.path}>{fileName(model.panel.context.path)}</h3>
        <div className="cy-switch" role="group" aria-label="Show as">
          {(['graph', 'table'] as const).map(each => (
            <button key={each} aria-pressed={form === each} onClick={() => setForm(each)}>
              {each === 'graph' ? 'Graph' : 'Table'}
            </button>
          ))}
        </div>
      </div>
      <div className="cy-actions">
        <button className="jp-Button jp-mod-styled cy-small" onClick={actions.runAll}>
          Run all
        </button>
        <button
          className="jp-Button jp-mod-styled cy-small"
          title="Which steps would run, which results would be taken again, and why"
          onClick={actions.plan}
        >
          Plan
        </button>
        <button
          className="jp-Button jp-mod-styled cy-small"
          title="Run the notebook as a pipeline, without its kernel"
          onClick={actions.runInBackground}
        >
          In background
        </button>
        <button className="jp-Button jp-mod-styled jp-mod-accept cy-small" onClick={actions.exportPipeline}>
          Export to pipeline…
        </button>
        {isRunning ? (
          <button className="jp-Button jp-mod-styled jp-mod-warn cy-small" onClick={actions.stopAll}>
            Stop all
          </button>
        ) : null}
      </div>
      <div className="cy-body">
        {form === 'graph' ? (
          <GraphView steps={model.steps} isLive={isLive} now={now} chosen={chosen} onChoose={onChoose} />
        ) : (
          <StepsTable steps={model.steps} isLive={isLive} now={now} chosen={chosen} onChoose={onChoose} />
        )}
      </div>
      {problems.length ? <ProblemList problems={problems} onChoose={actions.goToCell} /> : null}
      {step ? <Chosen step={step} isLive={isLive} now={now} actions={actions} /> : null}
    </div>
  );
}

export interface StepsProps {
  steps: readonly NotebookStep[];
  isLive: boolean;
  now: number;
  chosen: string;
  onChoose: (step: NotebookStep) => void;
}

/** How long it took, or has been running; empty where nothing is known. */
export function timeOf({ record }: NotebookStep, now: number, isLive: boolean): string {
  const seconds = record ? ranFor(record, now, isLive) : null;
  return seconds === null ? '' : duration(seconds);
}

/** What the plan says, in a few words. */
export function planWord({ action, run }: Decision): string {
  return action === 'reuse' ? (run === null ? 'reused' : `reused from run ${run}`) : 'it would run';
}

/** What it asks for, or what it was last given. */
export function sizeOf(step: NotebookStep): string {
  const resources = step.resources ?? step.record?.resources;
  return resources ? size(resources) : step.marked ? '' : 'plain cell';
}

function StepsTable({ steps, isLive, now, chosen, onChoose }: StepsProps): React.ReactElement {
  const names = new Map(steps.map(step => [step.cell, step.name]));
  const isPlanned = steps.some(step => step.decision);
  return (
    <table className="cy-table cy-steps" role="table">
      <thead role="rowgroup">
        <tr role="row">
          <Heading>Step</Heading>
          <Heading>
            <span>State</span>
          </Heading>
          <Heading>Size</Heading>
          <Heading>Time</Heading>
          {isPlanned ? <Heading>Plan</Heading> : null}
          <Heading>After</Heading>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {steps.map(step => (
          <tr key={step.cell} role="row" className={step.cell === chosen ? 'cy-active' : ''}>
            <td role="cell" className="cy-of-name">
              <button className="cy-link" onClick={() => onChoose(step)}>
                {step.name || 'unnamed'}
              </button>
            </td>
            <td role="cell" className="cy-of-state">
              {step.marked ? <StateMark state={step.record?.state} word /> : null}
              {step.stale ? (
                <span className="cy-stale" title={step.stale}>
                  stale
                </span>
              ) : null}
            </td>
            <Known about="size">{sizeOf(step)}</Known>
            <Known about="time">{timeOf(step, now, isLive)}</Known>
            {isPlanned ? (
              <Known about="plan" title={step.decision?.because}>
                {step.decision ? planWord(step.decision) : ''}
              </Known>
            ) : null}
            <Known about="after">{step.after.map(cell => names.get(cell)).join(', ')}</Known>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

// In little room its rows are no table to the eye, and their roles must be said.
function Heading({ children }: React.PropsWithChildren): React.ReactElement {
  return (
    <th scope="col" role="columnheader">
      {children}
    </th>
  );
}

interface KnownProps {
  about: string;
  title?: string;
  children: string;
}

/** What is known of a step, or a dash. */
function Known({ about, title, children }: KnownProps): React.ReactElement {
  return (
    <td role="cell" className={`cy-of-${about}${children ? '' : ' cy-of-none'}`} title={title}>
      {children || '–'}
    </td>
  );
}

interface ChosenProps {
  step: NotebookStep;
  isLive: boolean;
  now: number;
  actions: NotebookActions;
}

function Chosen({ step, isLive, now, actions }: ChosenProps): React.ReactElement {
  const { record } = step;
  const runs = isLive && record !== undefined && !ENDED.has(record.state);
  return (
    <section className="cy-chosen" aria-label={`Step ${step.name}`}>
      <h3>
        {step.name || 'unnamed'} {step.marked ? <StateMark state={record?.state} word /> : null}
        <span className="cy-row-side">{timeOf(step, now, isLive)}</span>
      </h3>
      {step.marked ? (
        <code className="cy-line">%%step {step.line}</code>
      ) : (
        <p className="cy-muted">
          A plain cell: in a pipeline it runs as a step, because steps need what it makes.
        </p>
      )}
      {step.stale ? <p className="cy-stale-why">Stale: {step.stale}</p> : null}
      {record?.reused ? (
        <p className="cy-stale-why">Cached: it took the result of run {record.reused}.</p>
      ) : null}
      {step.decision ? (
        <p className="cy-stale-why">
          Plan: {planWord(step.decision)}. <span className="cy-muted">{step.decision.because}</span>
        </p>
      ) : null}
      {record?.error?.message && record.state !== 'cancelled' ? (
        <p className="cy-error cy-clamped" tabIndex={0}>
          {record.error.type}: {uncoloured(record.error.message)}
        </p>
      ) : null}
      <div className="cy-actions">
        <button className="jp-Button jp-mod-styled cy-small" onClick={() => actions.runFrom(step)}>
          Run from here
        </button>
        <button className="jp-Button jp-mod-styled cy-small" onClick={() => actions.edit(step)}>
          {step.marked ? 'Edit…' : 'Turn into a step…'}
        </button>
        {runs ? (
          <button className="jp-Button jp-mod-styled jp-mod-warn cy-small" onClick={() => actions.stop(step)}>
            Stop
          </button>
        ) : null}
        {record ? (
          <button className="jp-Button jp-mod-styled cy-small" onClick={() => actions.openRun(record.run_id)}>
            Open run {record.run_id}
          </button>
        ) : null}
      </div>
    </section>
  );
}

interface TeachingProps {
  actions: NotebookActions;
  /** Whether the notebook has the line that loads the magics. */
  isLoaded: boolean;
  /** Whether the active cell can be a step. */
  isCode: boolean;
}

function Teaching({ actions, isLoaded, isCode }: TeachingProps): React.ReactElement {
  return (
    <div className="cy-teach">
      <h3>This notebook has no steps yet</h3>
      <p>
        A cell whose first line is <code>%%step</code> runs on a worker of the size it asks for. Its output
        appears under the cell, and the names it makes are there in the next cell, as always.
      </p>
      <ol>
        <li>
          <p>Load the magics once, at the top of the notebook.</p>
          {isLoaded ? (
            <p className="cy-row-top">
              <StateMark state="succeeded" /> The line is there.
            </p>
          ) : (
            <button className="jp-Button jp-mod-styled" onClick={actions.insertLoad}>
              Insert %load_ext kernel_magics
            </button>
          )}
        </li>
        <li>
          <p>Choose a cell that takes long or needs much memory.</p>
          <button
            className="jp-Button jp-mod-styled jp-mod-accept"
            disabled={!isCode}
            onClick={actions.makeStep}
          >
            Turn this cell into a step
          </button>
          {isCode ? null : <p className="cy-muted">The cell that is active now has no code.</p>}
        </li>
        <li>
          <p>Run it as you run any cell.</p>
        </li>
      </ol>
    </div>
  );
}
