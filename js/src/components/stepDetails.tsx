/** All that is known of one step of a run. */

import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import * as React from 'react';

import { bytes, duration, kind, moment, ranFor, size, uncoloured } from '../format';
import { Attempt, Cost, ENDED, Failure, Preview, Reference, Run, Step } from '../wire';
import { Evidence } from './evidence';
import { useAnswer, useSignal } from './hooks';
import { LogView } from './logView';
import { priced, RunPageProps } from './runPage';
import { StateMark } from './stateMark';
import { WidgetHost } from './widgetHost';

/** What one looks for least among values: it comes last. */
const CODE: ReadonlySet<string> = new Set(['module', 'function', 'type', 'builtin_function_or_method']);

interface StepDetailsProps extends RunPageProps {
  step: Step;
  run: Run;
  now: number;
  cost: Cost | null;
}

export function StepDetails(props: StepDetailsProps): React.ReactElement {
  const { step, run, model, connection, now, cost, rendermime } = props;
  const amount = cost?.steps.find(each => each.step_id === step.id)?.amount;
  const { value: attempts } = useAnswer(
    step.attempt > 1 ? () => connection.api.attempts(step.run_id, step.id) : null,
    [connection, step.run_id, step.id, step.attempt, step.state]
  );
  useSignal(model.changed);
  const isLive = connection.liveness === 'live';
  const seconds = ranFor(step, now, isLive);
  return (
    <section className="cy-details" role="tabpanel" aria-label={step.name}>
      <dl className="cy-facts">
        <Fact name="State">
          <StateMark state={step.state} word />
        </Fact>
        <Fact name="Size">{size(step.resources)}</Fact>
        <Fact name="Time">{seconds === null ? '–' : duration(seconds)}</Fact>
        <Fact name="Peak memory">
          {step.peak_memory ? bytes(step.peak_memory) : '–'}
          {step.peak_memory && step.resources.memory
            ? ` (${Math.round((step.peak_memory / step.resources.memory) * 100)} % of what it asked for)`
            : ''}
        </Fact>
        <Fact name="CPU time">{step.cpu_seconds ? duration(step.cpu_seconds) : '–'}</Fact>
        <Fact name="Worker">{step.worker ?? '–'}</Fact>
        {cost && amount ? <Fact name="Cost">{priced(amount, cost)}</Fact> : null}
        {step.reused ? <Fact name="Cached">from run {step.reused}</Fact> : null}
      </dl>
      {step.error ? <Cause error={step.error} /> : null}
      {attempts && attempts.length > 1 ? <Attempts attempts={attempts} /> : null}
      <Evidence step={step} run={run} connection={connection} isLive={isLive} onResize={props.onResize} />
      <LogView model={model} step={step} rendermime={rendermime} isLive={isLive} />
      <Values title="Takes" values={step.inputs} rendermime={rendermime} />
      <Values title="Makes" values={step.outputs} rendermime={rendermime} />
      {ENDED.has(step.state) && connection.localPath(run.notebook) === null ? (
        <p className="cy-muted">
          What it ran is no notebook among the files of this server: it cannot be reproduced or changed there.
        </p>
      ) : null}
      {ENDED.has(step.state) && connection.localPath(run.notebook) !== null ? (
        <div className="cy-actions cy-card-actions">
          <button
            className="jp-Button jp-mod-styled cy-small"
            title="Its inputs, as they were, into the notebook's kernel, and its source into a new cell"
            onClick={() => props.onReproduce(step, run)}
          >
            Reproduce in the notebook
          </button>
        </div>
      ) : null}
      <details className="cy-code">
        <summary>Code</summary>
        <pre tabIndex={0}>
          {`%%step ${step.raw_line}\n`}
          {step.source}
        </pre>
      </details>
    </section>
  );
}

function Fact({ name, children }: React.PropsWithChildren<{ name: string }>): React.ReactElement {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Cause({ error }: { error: Failure }): React.ReactElement {
  const trace = (error.traceback ?? []).join('\n');
  return (
    <div className="cy-cause">
      <strong>{error.type ?? 'It failed'}</strong>
      <span>{uncoloured(error.message ?? '')}</span>
      {trace ? (
        <details>
          <summary>Traceback</summary>
          <pre tabIndex={0}>{uncoloured(trace)}</pre>
        </details>
      ) : null}
    </div>
  );
}

function Attempts({ attempts }: { attempts: readonly Attempt[] }): React.ReactElement {
  return (
    <table className="cy-table">
      <caption>Attempts</caption>
      <thead>
        <tr>
          <th scope="col">No.</th>
          <th scope="col">State</th>
          <th scope="col">Began</th>
          <th scope="col">Time</th>
          <th scope="col">Why it ended</th>
        </tr>
      </thead>
      <tbody>
        {attempts.map(each => (
          <tr key={each.id}>
            <td>{each.number}</td>
            <td>
              <StateMark state={each.state} word />
            </td>
            <td>{moment(each.started ?? each.created)}</td>
            <td>{each.seconds === null ? '–' : duration(each.seconds)}</td>
            <td>{each.error ? uncoloured(`${each.error.type}: ${each.error.message ?? ''}`) : '–'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface ValuesProps {
  title: string;
  values: readonly Reference[];
  rendermime: IRenderMimeRegistry;
}

function Values({ title, values, rendermime }: ValuesProps): React.ReactElement | null {
  const isCode = ({ value, name }: { value: Reference; name: string }) =>
    CODE.has(value.previews[name]?.type.split('.').pop() ?? '');
  const named = values
    .flatMap(value => value.names.filter(name => !name.startsWith('@')).map(name => ({ value, name })))
    .sort((one, other) => Number(isCode(one)) - Number(isCode(other)));
  if (!named.length) {
    return null;
  }
  return (
    <div className="cy-values">
      <h3>{title}</h3>
      {named.map(({ value, name }) => (
        <details key={name}>
          <summary>
            <code>{name}</code> <span className="cy-muted">{kind(value, name)}</span>
          </summary>
          <Seen preview={value.previews[name]} rendermime={rendermime} />
        </details>
      ))}
    </div>
  );
}

interface SeenProps {
  preview: Preview | undefined;
  rendermime: IRenderMimeRegistry;
}

/** A preview, as the notebook shows such a value: JupyterLab's renderer lets nothing run in it. */
function Seen({ preview, rendermime }: SeenProps): React.ReactElement {
  const html = preview?.html ?? '';
  const make = React.useCallback(() => {
    const renderer = rendermime.createRenderer('text/html');
    void renderer.renderModel(rendermime.createModel({ data: { 'text/html': html }, trusted: false }));
    return renderer;
  }, [rendermime, html]);
  return html ? <WidgetHost make={make} /> : <pre tabIndex={0}>{preview?.text || 'No preview.'}</pre>;
}
