/** One run: its steps, and of the one that is chosen everything that is known. */

import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import * as React from 'react';

import type { Connection } from '../connection';
import { duration, moment, ranFor, sourceName } from '../format';
import { stepsOfRun } from '../notebookModel';
import type { RunModel } from '../runModel';
import { Cost, ENDED, Run, Step } from '../wire';
import { Banner } from './banner';
import { GraphView } from './graphView';
import { useAnswer, useNow, useSignal } from './hooks';
import { Loading } from './runsView';
import { StateMark } from './stateMark';
import { StepDetails } from './stepDetails';
import { Timeline } from './timeline';

const STOPPED: ReadonlySet<string> = new Set(['failed', 'cancelled', 'lost']);

export interface RunPageProps {
  model: RunModel;
  connection: Connection;
  rendermime: IRenderMimeRegistry;
  onCancel: (run: number) => void;
  /** Go on where the run has stopped. */
  onResume: (run: number) => void;
  onOpenNotebook: (path: string) => void;
  /** Bring what a step was given into its notebook's kernel. */
  onReproduce: (step: Step, run: Run) => void;
  /** Write other sizes, by flag, into the line of its cell. */
  onResize: (step: Step, run: Run, sizes: Sizes) => void;
}

export type Sizes = readonly (readonly [flag: string, value: string])[];

export function RunPage(props: RunPageProps): React.ReactElement {
  const { model, connection } = props;
  useSignal(model.changed, connection.changed);
  const [chosen, choose] = React.useState<number | null>(null);
  const isLive = connection.liveness === 'live';
  const { run } = model;
  const goesOn = isLive && run !== null && !ENDED.has(run.state);
  const now = useNow(goesOn);
  const ask = run && ENDED.has(run.state) ? () => connection.api.cost(run.id) : null;
  const { value: cost } = useAnswer(ask, [connection, run?.id, run?.state]);
  const step =
    model.steps.find(each => each.id === chosen) ??
    model.steps.find(each => each.state === 'failed') ??
    model.steps.find(each => each.state === 'running') ??
    model.steps.find(each => STOPPED.has(each.state)) ??
    model.steps[0];
  if (!run) {
    return (
      <div className="cy-page">
        <Banner connection={connection} />
        <Loading error={model.error} />
      </div>
    );
  }
  const seconds = ranFor(run, now, isLive);
  return (
    <div className={`cy-page${isLive ? '' : ' cy-old'}`}>
      <Banner connection={connection} />
      <header className="cy-page-head">
        <h2>
          Run {run.id} <StateMark state={run.state} word />
        </h2>
        {connection.localPath(run.notebook) === null ? (
          <span title={run.notebook}>{sourceName(run)}</span>
        ) : (
          <button className="cy-link" onClick={() => props.onOpenNotebook(run.notebook)} title={run.notebook}>
            {sourceName(run)}
          </button>
        )}
        <span className="cy-muted">
          {moment(run.created)}
          {seconds === null ? '' : `, ${duration(seconds)}`}
        </span>
        {goesOn ? (
          <button
            className="jp-Button jp-mod-styled jp-mod-warn cy-small"
            onClick={() => props.onCancel(run.id)}
          >
            Cancel the run
          </button>
        ) : null}
        {isLive && run.kind === 'notebook' && STOPPED.has(run.state) ? (
          <button
            className="jp-Button jp-mod-styled jp-mod-accept cy-small"
            onClick={() => props.onResume(run.id)}
          >
            Resume
          </button>
        ) : null}
        {cost?.amount ? <span className="cy-muted">cost {priced(cost.amount, cost)}</span> : null}
      </header>
      {model.steps.length ? (
        <div className="cy-run-steps">
          {model.steps.length > 1 ? (
            <GraphView
              steps={stepsOfRun(model.steps)}
              isLive={isLive}
              now={now}
              chosen={String(step?.id)}
              onChoose={each => choose(Number(each.cell))}
            />
          ) : null}
          <Timeline steps={model.steps} now={now} isLive={isLive} chosen={step?.id} onChoose={choose} />
        </div>
      ) : (
        <p className="cy-empty">{whyEmpty(run, goesOn)}</p>
      )}
      {step ? <StepDetails key={step.id} step={step} run={run} now={now} cost={cost} {...props} /> : null}
    </div>
  );
}

function whyEmpty(run: Run, goesOn: boolean): string {
  if (!goesOn) {
    return 'No step has begun in this run.';
  }
  return run.kind === 'notebook'
    ? 'Its kernel is being started, and runs the cells before the first step.'
    : 'No step has begun in this run yet.';
}

/** What it cost, where the settings have prices. */
export function priced(amount: number, cost: Cost): string {
  return `${Number(amount.toPrecision(2))} ${cost.prices.currency ?? ''}`.trim();
}
