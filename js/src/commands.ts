/** What can be done, by name: for menus, the palette, toolbars and our own buttons. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { MainAreaWidget } from '@jupyterlab/apputils';
import type { Cell } from '@jupyterlab/cells';
import { INotebookTracker, NotebookActions } from '@jupyterlab/notebook';

import type { Connection } from './connection';
import type { Sizes } from './components/runPage';
import { editLine } from './components/stepForm';
import { exportPipeline } from './exportPipeline';
import { words } from './format';
import { exportIcon, stepIcon } from './icons';
import type { NotebookStep } from './notebookModel';
import type { Notebooks } from './notebooks';
import { tellProblem } from './notices';
import { lineOf, proposeName, withLine, withValues } from './stepLine';
import { ENDED, Step } from './wire';

export const COMMANDS = {
  makeStep: 'cellyard:make-step',
  openRun: 'cellyard:open-run',
  stopStep: 'cellyard:stop-step',
  show: 'cellyard:show',
  exportPipeline: 'cellyard:export',
  runAll: 'cellyard:run-all',
  runFrom: 'cellyard:run-from-here'
} as const;

export interface Context {
  app: JupyterFrontEnd;
  connection: Connection;
  notebooks: Notebooks;
  tracker: INotebookTracker;
  openRun: (run: number) => MainAreaWidget;
}

export function addCommands({ app, connection, notebooks, tracker, openRun }: Context): void {
  const { commands } = app;
  const cell = () => tracker.activeCell;
  const isCode = () => cell()?.model.type === 'code';
  const isStep = () => isCode() && lineOf(cell()?.model.sharedModel.getSource() ?? '') !== null;

  commands.addCommand(COMMANDS.makeStep, {
    label: () => (isStep() ? 'Edit the step…' : 'Turn into a step…'),
    caption: 'Run this cell on a worker of the size it asks for',
    icon: stepIcon,
    isEnabled: () => isCode() && mayBeEdited(cell()),
    isVisible: isCode,
    execute: () => editStep(tracker, notebooks, connection)
  });
  commands.addCommand(COMMANDS.openRun, {
    label: 'Open a run of steps',
    isVisible: args => typeof args.run === 'number',
    execute: args => openRun(args.run as number).id
  });
  commands.addCommand(COMMANDS.stopStep, {
    label: 'Stop this step',
    isEnabled: isStep,
    isVisible: isStep,
    execute: async () => {
      const current = cell();
      const step = current ? notebooks.front?.step(current.model.id) : undefined;
      if (step) {
        await stop(connection, step);
      }
    }
  });
  commands.addCommand(COMMANDS.exportPipeline, {
    label: args => (args.toolbar ? '' : 'Export to pipeline…'),
    caption: 'Export to pipeline: write what runs this notebook elsewhere, or on a schedule',
    icon: exportIcon,
    isEnabled: () => tracker.currentWidget !== null,
    execute: async () => {
      const model = notebooks.front;
      if (model) {
        await exportPipeline({ app, connection, model, goToCell: cell => void goToCell(tracker, cell) });
      }
    }
  });
  commands.addCommand(COMMANDS.show, {
    label: 'Show steps and runs',
    execute: () => app.shell.activateById('cellyard-sidebar')
  });
  commands.addCommand(COMMANDS.runAll, {
    label: 'Run all cells',
    execute: () => commands.execute('notebook:run-all-cells')
  });
  commands.addCommand(COMMANDS.runFrom, {
    label: 'Run from this cell on',
    execute: () => commands.execute('notebook:run-all-below')
  });
  commands.notifyCommandChanged();
  tracker.activeCellChanged.connect(() => commands.notifyCommandChanged(COMMANDS.makeStep));
}

/** Stop a step for good, and say so when it cannot be done. */
export async function stop(connection: Connection, step: NotebookStep): Promise<void> {
  const { record } = step;
  if (!record?.token || ENDED.has(record.state)) {
    return;
  }
  try {
    await connection.api.cancelStep(record.token);
  } catch (error) {
    tellProblem(`${step.name} could not be stopped: ${words(error)}`);
  }
}

/** Go to a step's cell, and make it the active one. */
export function goTo(tracker: INotebookTracker, step: NotebookStep): Promise<void> {
  const cells = tracker.currentWidget?.content.widgets ?? [];
  return goToCell(
    tracker,
    cells.findIndex(cell => cell.model.id === step.cell)
  );
}

/** Go to a cell by its place, and make it the active one. */
export async function goToCell(tracker: INotebookTracker, at: number): Promise<void> {
  const notebook = tracker.currentWidget?.content;
  if (notebook && at >= 0) {
    notebook.activeCellIndex = at;
    notebook.deselectAll();
    await notebook.scrollToItem(at, 'smart');
  }
}

/** Whether the cell's author lets others change it. */
function mayBeEdited(cell: Cell | null): boolean {
  return cell?.model.getMetadata('editable') !== false;
}

async function editStep(
  tracker: INotebookTracker,
  notebooks: Notebooks,
  connection: Connection
): Promise<void> {
  const cell = tracker.activeCell;
  if (!cell || cell.model.type !== 'code') {
    return;
  }
  if (!mayBeEdited(cell)) {
    tellProblem('This cell may not be edited: that is what its metadata say.');
    return;
  }
  const shared = cell.model.sharedModel;
  const source = shared.getSource();
  const line = lineOf(source);
  const taken = new Set(notebooks.front?.steps.map(step => step.name));
  const options = await notebooks.options.all().catch(() => null);
  if (options === null) {
    tellProblem('What a step may ask for is told by the engine, and none answers: start it in the sidebar.');
    return;
  }
  const title = line === null ? 'Turn into a step' : 'Edit the step';
  const made = await editLine(title, line ?? proposeName(source, taken), options, connection.api);
  if (made !== null) {
    shared.setSource(withLine(shared.getSource(), made));
  }
}

/** Write other sizes into the line of a step's cell, in the notebook in front, and go there. Rejects where there is none. */
export async function resizeStep(tracker: INotebookTracker, step: Step, sizes: Sizes): Promise<void> {
  const panel = tracker.currentWidget;
  await panel?.context.ready;
  const cells = panel?.content.widgets ?? [];
  const at = cells.findIndex(cell => cell.model.id === step.cell_id);
  const line = lineOf(cells[at]?.model.sharedModel.getSource() ?? '');
  if (line === null || !mayBeEdited(cells[at])) {
    throw new Error(`The cell of ${step.name} is no step any more, or may not be edited.`);
  }
  const { sharedModel } = cells[at].model;
  const resized = sizes.reduce((made, [flag, value]) => withValues(made, flag, [value], false), line);
  sharedModel.setSource(withLine(sharedModel.getSource(), resized));
  await goToCell(tracker, at);
}

/** Put a cell with the load line at the top of the notebook. */
export function insertLoad(tracker: INotebookTracker): void {
  const notebook = tracker.currentWidget?.content;
  if (!notebook?.model) {
    return;
  }
  const active = notebook.activeCellIndex;
  notebook.activeCellIndex = 0;
  NotebookActions.insertAbove(notebook);
  notebook.activeCell?.model.sharedModel.setSource('%load_ext kernel_magics');
  // The cell that was chosen stays so: it is the one to be made a step.
  notebook.activeCellIndex = active + 1;
}

/** Run a new cell below that of the step, or at the end of its notebook, which is in front. */
export async function runBelow(tracker: INotebookTracker, step: Step, source: string): Promise<void> {
  const panel = tracker.currentWidget;
  if (!panel) {
    return;
  }
  await panel.context.ready;
  await panel.sessionContext.ready;
  const { content } = panel;
  const at = content.widgets.findIndex(cell => cell.model.id === step.cell_id);
  await goToCell(tracker, at < 0 ? content.widgets.length - 1 : at);
  NotebookActions.insertBelow(content);
  content.activeCell?.model.sharedModel.setSource(source);
  await NotebookActions.run(content, panel.sessionContext);
}
