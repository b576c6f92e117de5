/** Says when what is shown is not live, and what can be done. */

import * as React from 'react';

import type { Connection } from '../connection';
import { moment } from '../format';
import { useSignal } from './hooks';

export function Banner({ connection }: { connection: Connection }): React.ReactElement | null {
  useSignal(connection.changed);
  const asOf = `Shown below: as of ${moment(connection.seen / 1000)}.`;
  switch (connection.liveness) {
    case 'live':
      return null;
    case 'connecting':
      return (
        <p className="cy-banner" role="status">
          Connecting to the engine…
        </p>
      );
    case 'stopped':
      return (
        <div className="cy-banner" role="status">
          <p>
            <strong>The engine is not running.</strong>{' '}
            {connection.notStarted ? 'It was asked to start, and did not.' : 'It starts with the next step.'}{' '}
            {asOf}
          </p>
          {connection.notStarted ? (
            <p className="cy-why" role="alert" tabIndex={0}>
              {connection.notStarted}
            </p>
          ) : null}
          <button
            className="jp-Button jp-mod-styled jp-mod-accept cy-small"
            onClick={() => connection.start()}
          >
            {connection.notStarted ? 'Try again' : 'Start it now'}
          </button>
        </div>
      );
    case 'offline':
      return (
        <p className="cy-banner cy-bad" role="alert">
          <strong>The Jupyter server does not answer.</strong> Trying again by itself. {asOf}
        </p>
      );
    case 'failing':
      return (
        <p className="cy-banner cy-bad" role="alert">
          <strong>The engine cannot be followed.</strong> {connection.reason} Trying again by itself. {asOf}
        </p>
      );
    case 'refused':
      return (
        <p className="cy-banner cy-bad" role="alert">
          <strong>The server refuses.</strong> {connection.reason}
        </p>
      );
  }
}
