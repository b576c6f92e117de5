/** Steps among what runs: JupyterLab's panel of that name. */

import type { IRunningSessions } from '@jupyterlab/running';
import type { ISignal } from '@lumino/signaling';

import type { Connection } from './connection';
import { duration, fileName, size } from './format';
import { stepIcon } from './icons';
import type { PlacesModel } from './placesModel';

export function runningSteps(
  connection: Connection,
  model: PlacesModel,
  openRun: (run: number) => void
): IRunningSessions.IManager {
  return {
    name: 'Steps',
    running: () =>
      model.live.map(step => ({
        open: () => openRun(step.run),
        shutdown: () => void connection.api.cancelStep(step.token),
        icon: () => stepIcon,
        label: () => step.name,
        labelTitle: () => `${step.name} of ${step.notebook}, ${size(step.resources)}`,
        detail: () =>
          `${fileName(step.notebook)}, ` +
          (step.began === null ? 'waiting' : `running since ${duration(Date.now() / 1000 - step.began)}`)
      })),
    shutdownAll: () => model.live.forEach(step => void connection.api.cancelStep(step.token)),
    refreshRunning: () => undefined,
    runningChanged: model.changed as ISignal<unknown, unknown>,
    shutdownLabel: 'Stop the step',
    shutdownAllLabel: 'Stop all steps',
    shutdownAllConfirmationText: 'Stop all steps that run or wait, of every notebook?'
  };
}
