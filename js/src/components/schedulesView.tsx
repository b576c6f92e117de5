/** Schedules: what comes next, what came last, and a hand on each. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import * as React from 'react';

import type { Connection } from '../connection';
import { inZone, moment, words } from '../format';
import { tellProblem } from '../notices';
import type { SchedulesModel } from '../schedulesModel';
import type { Firing, Schedule, State } from '../wire';
import { useAnswer, useSignal } from './hooks';
import { Loading } from './runsView';
import { editSchedule } from './scheduleForm';
import { StateMark } from './stateMark';

/** The mark of each state of a firing; one that was skipped did not run. */
const STATES: Partial<Record<string, State>> = {
  waiting: 'queued',
  running: 'running',
  succeeded: 'succeeded',
  failed: 'failed',
  lost: 'lost'
};

const GOES_ON: ReadonlySet<string> = new Set(['waiting', 'running']);
const AGAIN = 2000;

export interface SchedulesViewProps {
  model: SchedulesModel;
  connection: Connection;
  isLive: boolean;
  onOpen: (run: number) => void;
}

export function SchedulesView({ model, connection, isLive, onOpen }: SchedulesViewProps): React.ReactElement {
  useSignal(connection.changed, model.changed);
  const { found } = model;
  const look = React.useCallback(() => model.look(), [model]);
  React.useEffect(() => {
    look();
    const onEvent = (_: unknown, event: { kind: string }) => event.kind === 'state' && look();
    connection.happened.connect(onEvent);
    return () => {
      connection.happened.disconnect(onEvent);
    };
  }, [connection, isLive, look]);
  // That a firing has ended is known later than that its run has, and nothing tells of it.
  const goesOn = isLive && (found?.schedules.some(({ last }) => last && GOES_ON.has(last.state)) ?? false);
  React.useEffect(() => {
    const timer = goesOn ? window.setInterval(look, AGAIN) : 0;
    return () => window.clearInterval(timer);
  }, [goesOn, look]);
  const act = (work: Promise<void>) => {
    work.then(look, reason => tellProblem(words(reason)));
  };
  if (!found) {
    return isLive || connection.liveness === 'connecting' ? (
      <Loading error={model.error} />
    ) : (
      <p className="cy-empty">Which schedules there are is known while the engine runs.</p>
    );
  }
  if (!found.schedules.length) {
    return (
      <p className="cy-empty">
        No schedules yet. “Export to pipeline…” makes one: choose when it is to run, and its next times appear
        here.
      </p>
    );
  }
  return (
    <div className="cy-scroll">
      {found.notes.map(note => (
        <p key={note} className="cy-banner">
          {note}
        </p>
      ))}
      {found.schedules.map(schedule => (
        <Card key={schedule.name} schedule={schedule} connection={connection} act={act} onOpen={onOpen} />
      ))}
    </div>
  );
}

interface CardProps {
  schedule: Schedule;
  connection: Connection;
  act: (work: Promise<void>) => void;
  onOpen: (run: number) => void;
}

function Card({ schedule, connection: { api }, act, onOpen }: CardProps): React.ReactElement {
  const { name, expression, timezone, last } = schedule;
  const isPaused = schedule.state === 'paused';
  const ask = expression ? () => api.cron(expression, timezone) : null;
  const told = useAnswer(ask, [api, expression, timezone]).value;
  const remove = async () => {
    const body = `${name} will not run any more. Its runs stay on record.`;
    const buttons = [Dialog.cancelButton(), Dialog.warnButton({ label: 'Remove' })];
    const { button } = await showDialog({ title: 'Remove the schedule?', body, buttons });
    if (button.accept) {
      act(api.removeSchedule(name));
    }
  };
  return (
    <section className="cy-card" aria-label={name}>
      <h3>
        {name} {isPaused ? <span className="cy-stale">paused</span> : null}
      </h3>
      <p>{expression ? (told?.words ?? expression) : `when ${schedule.on_change.join(', ')} changes`}</p>
      {schedule.next.length ? (
        <ul className="cy-plain cy-muted" aria-label="Next times">
          {schedule.next.map(time => (
            <li key={time}>{inZone(time, timezone)}</li>
          ))}
        </ul>
      ) : null}
      {last ? <Firings key={last.id} name={name} last={last} api={api} onOpen={onOpen} /> : null}
      {last ? null : <p className="cy-muted">It has not run yet.</p>}
      <div className="cy-actions cy-card-actions">
        <button className="jp-Button jp-mod-styled cy-small" onClick={() => act(api.runSchedule(name))}>
          Run now
        </button>
        <button
          className="jp-Button jp-mod-styled cy-small"
          onClick={() => act(api.pauseSchedule(name, !isPaused))}
        >
          {isPaused ? 'Go on' : 'Pause'}
        </button>
        <button className="jp-Button jp-mod-styled cy-small" onClick={() => act(editSchedule(api, name))}>
          Edit…
        </button>
        <button className="jp-Button jp-mod-styled cy-small" onClick={() => void remove()}>
          Remove…
        </button>
      </div>
    </section>
  );
}

interface FiringsProps {
  name: string;
  last: Firing;
  api: Connection['api'];
  onOpen: (run: number) => void;
}

/** What came last, and on demand what came before it. */
function Firings({ name, last, api, onOpen }: FiringsProps): React.ReactElement {
  const [open, setOpen] = React.useState(false);
  const { value } = useAnswer(open ? () => api.firings(name) : null, [api, name, open, last.id, last.state]);
  return (
    <>
      <Came firing={last} onOpen={onOpen} />
      <details onToggle={event => setOpen(event.currentTarget.open)}>
        <summary>Past runs</summary>
        <ul className="cy-plain">
          {(value ?? [last]).map(each => (
            <li key={each.id}>
              <Came firing={each} onOpen={onOpen} />
            </li>
          ))}
        </ul>
      </details>
    </>
  );
}

function Came({ firing, onOpen }: { firing: Firing; onOpen: (run: number) => void }): React.ReactElement {
  const { run_id: run } = firing;
  return (
    <p className="cy-row-top cy-came">
      <StateMark state={STATES[firing.state] ?? 'cancelled'} />
      <span>{firing.state}</span>
      <span className="cy-muted" title={firing.note}>
        {moment(firing.due)}
        {firing.cause === 'time' ? '' : ` by ${firing.cause}`}
        {firing.note ? `: ${firing.note}` : ''}
      </span>
      {run === null ? null : (
        <button className="cy-link" onClick={() => onOpen(run)}>
          run {run}
        </button>
      )}
    </p>
  );
}
