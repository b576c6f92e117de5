/** Schedules: what comes next, what came last, and a hand on each. */

import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import * as React from 'react';

import type { Connection } from '../connection';
import { moment } from '../format';
import type { Schedule, State } from '../wire';
import { useSignal } from './hooks';
import { Loading } from './runsView';
import { StateMark } from './stateMark';

export interface SchedulesViewProps {
  connection: Connection;
  isLive: boolean;
  onOpen: (run: number) => void;
}

export function SchedulesView({ connection, isLive, onOpen }: SchedulesViewProps): React.ReactElement {
  const [found, setFound] = React.useState<{ schedules: Schedule[]; notes: string[] } | null>(null);
  const [error, setError] = React.useState('');
  const look = React.useCallback(() => {
    connection.api.schedules().then(
      data => {
        setFound(data);
        setError('');
      },
      reason => setError(reason instanceof Error ? reason.message : String(reason))
    );
  }, [connection]);
  useSignal(connection.changed);
  React.useEffect(() => {
    if (isLive) {
      look();
    }
    const onEvent = (_: unknown, event: { kind: string }) => event.kind === 'state' && look();
    connection.happened.connect(onEvent);
    return () => {
      connection.happened.disconnect(onEvent);
    };
  }, [connection, isLive, look]);
  const act = (work: Promise<void>) => {
    work.then(look, reason => Notification.error(reason instanceof Error ? reason.message : String(reason)));
  };
  if (!found) {
    return <Loading error={error} />;
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
  const words = useWords(schedule, api);
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
      <p>{expression ? words || expression : `when ${schedule.on_change.join(', ')} changes`}</p>
      {schedule.next.length ? (
        <p className="cy-muted">
          Next:{' '}
          {new Date(schedule.next[0]).toLocaleString([], {
            timeZone: timezone,
            dateStyle: 'medium',
            timeStyle: 'short'
          })}
        </p>
      ) : null}
      {last ? (
        <p className="cy-row-top">
          <StateMark state={last.state as State} word />
          <span className="cy-muted">{moment(last.due)}</span>
          {last.run_id === null ? null : (
            <button className="cy-link" onClick={() => onOpen(last.run_id ?? 0)}>
              run {last.run_id}
            </button>
          )}
        </p>
      ) : (
        <p className="cy-muted">It has not run yet.</p>
      )}
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
        <button className="jp-Button jp-mod-styled cy-small" onClick={() => void remove()}>
          Remove…
        </button>
      </div>
    </section>
  );
}

function useWords({ expression, timezone }: Schedule, api: Connection['api']): string {
  const [words, setWords] = React.useState('');
  React.useEffect(() => {
    let gone = false;
    if (expression) {
      api.cron(expression, timezone).then(
        found => !gone && setWords(found.words),
        () => undefined
      );
    }
    return () => {
      gone = true;
    };
  }, [api, expression, timezone]);
  return words;
}
