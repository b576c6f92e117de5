/** How many steps run, for the status bar; nothing while none does. */

import * as React from 'react';

import type { Connection } from '../connection';
import type { PlacesModel } from '../placesModel';
import { useSignal } from './hooks';

export interface StatusItemProps {
  connection: Connection;
  model: PlacesModel;
  onOpen: () => void;
}

export function StatusItem({ connection, model, onOpen }: StatusItemProps): React.ReactElement | null {
  useSignal(connection.changed, model.changed);
  const running = model.live.filter(step => step.began !== null).length;
  const waiting = model.live.length - running;
  if (connection.liveness !== 'live' || !model.live.length) {
    return null;
  }
  const words = [running ? `${running} running` : '', waiting ? `${waiting} waiting` : '']
    .filter(Boolean)
    .join(', ');
  return (
    <button className="cy-status" title="Show steps and runs" onClick={onOpen}>
      Steps: {words}
    </button>
  );
}
