/** Notebooks: a model for each notebook that is open, and which of them is in front. */

import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { ServiceManager } from '@jupyterlab/services';
import { ISignal, Signal } from '@lumino/signaling';

import type { Connection } from './connection';
import { NotebookModel } from './notebookModel';
import { StepOptions } from './stepOptions';
import { Whereabouts } from './whereabouts';

export class Notebooks {
  private readonly models = new Map<NotebookPanel, NotebookModel>();
  private readonly additions = new Signal<this, NotebookModel>(this);
  private readonly changes = new Signal<this, void>(this);
  readonly options: StepOptions;
  readonly whereabouts: Whereabouts;

  constructor(
    private readonly connection: Connection,
    private readonly tracker: INotebookTracker,
    { contents, sessions }: ServiceManager.IManager
  ) {
    this.options = new StepOptions(connection.api);
    this.whereabouts = new Whereabouts(connection, contents, sessions, path => this.hasSteps(path));
    tracker.widgetAdded.connect((_, panel) => this.add(panel));
    tracker.forEach(panel => this.add(panel));
    tracker.currentChanged.connect(() => {
      // Another may have come into sight with it.
      this.models.forEach(model => model.askAll());
      this.changes.emit();
    });
  }

  /** A notebook has been opened. */
  get added(): ISignal<this, NotebookModel> {
    return this.additions;
  }

  /** Another notebook is in front, or none. */
  get frontChanged(): ISignal<this, void> {
    return this.changes;
  }

  get front(): NotebookModel | null {
    const panel = this.tracker.currentWidget;
    return (panel && this.models.get(panel)) ?? null;
  }

  /** Do something with each that is open. */
  forEach(work: (model: NotebookModel) => void): void {
    this.models.forEach(work);
  }

  private hasSteps(path: string): boolean {
    const isThere = ({ panel }: NotebookModel) => `${panel.context.path}/`.startsWith(`${path}/`);
    return [...this.models.values()].some(model => isThere(model) && model.steps.some(step => step.marked));
  }

  private add(panel: NotebookPanel): void {
    const isSeen = () => panel.isVisible || panel === this.tracker.currentWidget;
    const model = new NotebookModel(panel, {
      connection: this.connection,
      whereabouts: this.whereabouts,
      options: this.options,
      isSeen
    });
    this.models.set(panel, model);
    panel.disposed.connect(() => {
      this.models.delete(panel);
      model.dispose();
    });
    this.additions.emit(model);
    // The tracker may have told that it is in front before it told that it is there.
    if (panel === this.tracker.currentWidget) {
      this.changes.emit();
    }
  }
}
