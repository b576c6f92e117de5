/** Where steps run: what each place has, what is taken, and which steps are there. */

import * as React from 'react';

import { bytes, duration, fileName, size } from '../format';
import type { PlacesModel } from '../placesModel';
import type { LiveStep, Place } from '../wire';
import { useNow, useSignal } from './hooks';
import { Loading } from './runsView';
import { StateMark } from './stateMark';

const LOOK_AGAIN = 1000;

export interface WorkersViewProps {
  model: PlacesModel;
  isLive: boolean;
  onOpen: (run: number) => void;
  onCancel: (step: LiveStep) => void;
}

export function WorkersView(props: WorkersViewProps): React.ReactElement {
  const { model, isLive } = props;
  useSignal(model.changed);
  const now = useNow(model.live.length > 0);
  React.useEffect(() => {
    const timer = window.setInterval(() => model.look(), LOOK_AGAIN);
    return () => window.clearInterval(timer);
  }, [model]);
  if (!isLive) {
    return <p className="cy-empty">What runs now is not known while there is no connection to the engine.</p>;
  }
  if (!model.loaded) {
    return <Loading error="" />;
  }
  return (
    <div className="cy-scroll">
      {model.places.map(place => (
        <PlaceCard key={place.name} place={place} now={now} {...props} />
      ))}
    </div>
  );
}

function PlaceCard({ place, now, onOpen, onCancel }: WorkersViewProps & { place: Place; now: number }) {
  const running = place.steps.filter(step => step.began !== null);
  const waiting = place.steps.length - running.length;
  const cpu = running.reduce((sum, step) => sum + step.resources.cpu, 0);
  const memory = running.reduce((sum, step) => sum + (step.resources.memory ?? 0), 0);
  const gpu = running.reduce((sum, step) => sum + step.resources.gpu, 0);
  return (
    <section className="cy-card" aria-label={place.name}>
      <h3>
        {place.name} {place.place === place.name ? null : <span className="cy-muted">{place.place}</span>}
      </h3>
      <Meter
        label="CPU"
        used={cpu}
        of={place.capacity.cpu}
        text={value => String(Number(value.toFixed(1)))}
      />
      <Meter label="Memory asked for" used={memory} of={place.capacity.memory} text={bytes} />
      {gpu || place.capacity.gpu ? (
        <Meter label="GPU" used={gpu} of={place.capacity.gpu} text={String} />
      ) : null}
      <Workers place={place} />
      <p className="cy-muted">
        {place.steps.length ? `${running.length} running, ${waiting} waiting` : 'Idle: no step runs here.'}
      </p>
      <ul className="cy-plain">
        {place.steps.map(step => (
          <li key={step.token} className="cy-live">
            <StateMark state={step.began === null ? 'queued' : 'running'} />
            <button className="cy-link cy-row-title" onClick={() => onOpen(step.run)}>
              {step.name}
            </button>
            <span className="cy-row-side">
              {step.began === null ? 'waiting' : duration(now - step.began)}
            </span>
            <button className="cy-stop" aria-label={`Stop ${step.name}`} onClick={() => onCancel(step)}>
              Stop
            </button>
            <span className="cy-live-below cy-muted">
              {size(step.resources)} · {fileName(step.notebook)}
              {step.worker ? ` · ${step.worker}` : ''}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

const WORDS = { starting: 'starting', idle: 'idle, warm', busy: 'busy' };

/** The workers that there are, the limits on them, and the way to Dask's own view of them. */
function Workers({ place }: { place: Place }): React.ReactElement {
  const { workers, most_workers: most, idle, dashboard } = place;
  const port = /(\d+)$/.exec(dashboard)?.[1];
  const limits = [
    most === null ? '' : `at most ${most} workers`,
    idle === null ? '' : `let go after ${duration(idle)} without work`
  ].filter(Boolean);
  return (
    <>
      <ul className="cy-plain" aria-label={`Workers of ${place.name}`}>
        {workers.map(worker => (
          <li key={worker.name} className="cy-worker-row">
            <span className={`cy-worker cy-worker-${worker.state}`} aria-hidden="true" />
            <span className="cy-worker-words">
              <span>{worker.name}</span>{' '}
              <span>
                {WORDS[worker.state]}, {size(worker.resources)}
              </span>
              {worker.note ? <span className="cy-muted">{worker.note}</span> : null}
            </span>
          </li>
        ))}
      </ul>
      {workers.length ? null : (
        <p className="cy-muted">No worker is there now; one is made for the next step.</p>
      )}
      {limits.length ? <p className="cy-muted">Limits: {limits.join(', ')}.</p> : null}
      {dashboard ? (
        <details>
          <summary>Dask’s dashboard</summary>
          <p>
            Run <code>{dashboard}</code>, then open{' '}
            <a className="cy-link" href={`http://localhost:${port}/status`} target="_blank" rel="noreferrer">
              localhost:{port}
            </a>
            .
          </p>
        </details>
      ) : null}
    </>
  );
}

interface MeterProps {
  label: string;
  used: number;
  /** Null where there is no limit. */
  of: number | null;
  text: (value: number) => string;
}

function Meter({ label, used, of, text }: MeterProps): React.ReactElement {
  const words = of === null ? `${text(used)}, no limit` : `${text(used)} of ${text(of)}`;
  return (
    <div className="cy-meter-row">
      <span className="cy-meter-label">{label}</span>
      {of === null ? null : (
        <span
          className="cy-meter"
          role="meter"
          aria-label={label}
          aria-valuemin={0}
          aria-valuemax={of}
          aria-valuenow={Math.min(used, of)}
          aria-valuetext={words}
        >
          <span style={{ width: `${Math.min(100, of ? (used / of) * 100 : 0)}%` }} />
        </span>
      )}
      <span className="cy-row-side">{words}</span>
    </div>
  );
}
