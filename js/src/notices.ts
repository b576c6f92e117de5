/** Notices: says when a long step has ended, to a user who looks elsewhere meanwhile, and what could not be done. */

import { Notification } from '@jupyterlab/apputils';

import type { Connection } from './connection';
import { duration } from './format';
import type { EngineEvent } from './wire';

/** Say what could not be done, until the user has seen it: what has no time JupyterLab only counts in its corner. */
export function tellProblem(text: string): void {
  Notification.error(text, { autoClose: false });
}

export class Notices {
  constructor(
    connection: Connection,
    private readonly openRun: (run: number) => void,
    /** Seconds from which a step is a long one; 0: never. */
    private readonly threshold: () => number
  ) {
    connection.happened.connect((_, event) => this.tell(event));
  }

  private tell(event: EngineEvent): void {
    const seconds = Number(event.content.seconds ?? 0);
    const { state } = event.content;
    const least = this.threshold();
    if (event.kind !== 'finished' || !least || seconds < least || state === 'cancelled') {
      return;
    }
    const error = (event.content.error ?? null) as { type?: string; message?: string } | null;
    const text = `${event.step} ${state} after ${duration(seconds)}` + (error ? `: ${error.type}` : '');
    Notification.emit(text, state === 'succeeded' ? 'success' : 'error', {
      autoClose: state === 'succeeded' ? 15_000 : false,
      actions: [{ label: 'Show the run', callback: () => this.openRun(event.run) }]
    });
  }
}
