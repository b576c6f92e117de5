/** When: a cron expression, told in words with its next times while it is typed. */

import * as React from 'react';

import type { Api } from '../api';
import { inZone } from '../format';
import { useAnswer } from './hooks';

const OFTEN: [string, string][] = [
  ['', 'No schedule'],
  ['@hourly', 'Every hour'],
  ['0 6 * * *', 'Every day at 6:00'],
  ['0 6 * * 1-5', 'Working days at 6:00'],
  ['0 6 * * 1', 'Mondays at 6:00'],
  ['0 6 1 * *', 'First of the month at 6:00']
];
const PAUSE = 300;

export interface CronFieldProps {
  api: Api;
  expression: string;
  timezone: string;
  onChange: (expression: string, timezone: string) => void;
  /** Why there must be an expression; undefined where there need not. */
  needed?: string;
}

export function CronField({
  api,
  expression,
  timezone,
  onChange,
  needed
}: CronFieldProps): React.ReactElement {
  const id = React.useId();
  // The times are told in the zone that was asked about, not in one that is still being typed.
  const ask = expression.trim()
    ? async () => ({ ...(await api.cron(expression, timezone)), timezone })
    : null;
  const { value: told, error } = useAnswer(ask, [api, expression, timezone], { pause: PAUSE });
  const wrong = expression.trim() ? error : (needed ?? '');
  const zones = React.useMemo(() => Intl.supportedValuesOf('timeZone'), []);
  return (
    <div className="cy-cron">
      <label className="cy-field">
        <span>Schedule</span>
        <input
          className="jp-mod-styled cy-input"
          value={expression}
          list={`${id}-often`}
          aria-invalid={Boolean(wrong)}
          placeholder="none; or minute hour day month weekday"
          onChange={event => onChange(event.target.value, timezone)}
        />
        <datalist id={`${id}-often`}>
          {OFTEN.filter(([value]) => value).map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </datalist>
      </label>
      {expression ? (
        <label className="cy-field">
          <span>Time zone</span>
          <input
            className="jp-mod-styled cy-input"
            value={timezone}
            list={`${id}-zones`}
            aria-invalid={Boolean(wrong)}
            onChange={event => onChange(expression, event.target.value)}
          />
          <datalist id={`${id}-zones`}>
            {zones.map(zone => (
              <option key={zone} value={zone} />
            ))}
          </datalist>
        </label>
      ) : null}
      {wrong ? (
        <p className="cy-error" role="alert">
          {wrong}
        </p>
      ) : null}
      {told ? (
        <div className="cy-next" role="status">
          <p>{told.words}</p>
          <ol>
            {told.next.map(time => (
              <li key={time}>{inZone(time, told.timezone)}</li>
            ))}
          </ol>
        </div>
      ) : null}
    </div>
  );
}
