/** All that is known of one step of a run. */

import * as React from 'react';

import { bytes, duration, kind, moment, size } from '../format';
import type { Attempt, Failure, Reference, Run, Step } from '../wire';
import { Evidence } from './evidence';
import { useSignal } from './hooks';
import { LogView } from './logView';
import type { RunPageProps } from './runPage';
import { StateMark } from './stateMark';

const COLOURS = /\u001b\[[0-9;]*m/g;

export function StepDetails(props: RunPageProps & { step: Step; run: Run; now: number }): React.ReactElement {
  const { step, model, connection, now } = props;
  const attempts = useAttempts(props);
  useSignal(model.changed);
  const isLive = connection.liveness === 'live';
  const seconds =
    step.seconds ?? (step.started && isLive && step.state === 'running' ? now - step.started : null);
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
      </dl>
      {step.error ? <Cause error={step.error} /> : null}
      {attempts.length > 1 ? <Attempts attempts={attempts} /> : null}
      <Evidence step={step} run={props.run} connection={connection} isLive={isLive} />
      <LogView model={model} step={step} rendermime={props.rendermime} isLive={isLive} />
      <Values title="Takes" values={step.inputs} />
      <Values title="Makes" values={step.outputs} />
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

function useAttempts({ step, connection }: RunPageProps & { step: Step }): readonly Attempt[] {
  const [attempts, setAttempts] = React.useState<readonly Attempt[]>([]);
  React.useEffect(() => {
    let gone = false;
    if (step.attempt > 1) {
      connection.api.attempts(step.run_id, step.id).then(
        found => !gone && setAttempts(found),
        () => undefined
      );
    }
    return () => {
      gone = true;
    };
  }, [connection, step.run_id, step.id, step.attempt, step.state]);
  return attempts;
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
  const trace = (error.traceback ?? []).join('\n').replace(COLOURS, '');
  return (
    <div className="cy-cause">
      <strong>{error.type ?? 'It failed'}</strong>
      <span>{(error.message ?? '').replace(COLOURS, '')}</span>
      {trace ? (
        <details>
          <summary>Traceback</summary>
          <pre tabIndex={0}>{trace}</pre>
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
            <td>{each.error ? `${each.error.type}: ${each.error.message ?? ''}` : '–'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Values({
  title,
  values
}: {
  title: string;
  values: readonly Reference[];
}): React.ReactElement | null {
  const named = values.flatMap(value =>
    value.names.filter(name => !name.startsWith('@')).map(name => ({ value, name }))
  );
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
          <pre tabIndex={0}>{value.previews[name]?.text || 'No preview.'}</pre>
        </details>
      ))}
    </div>
  );
}
