/** NotebookModel: the steps of the notebook in front, as its cells say and as the engine knows them. */

import type { Cell, ICellModel } from '@jupyterlab/cells';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import { ISignal, Signal } from '@lumino/signaling';

import type { Connection } from './connection';
import { bodyOf, lineOf, nameOf } from './stepLine';
import { Later } from './throttle';
import type { Step, StepOption } from './wire';

/** A step of a notebook: its cell, and its latest run. */
export interface NotebookStep {
  cell: string;
  index: number;
  name: string;
  line: string;
  record: Step | undefined;
  /** Why what is known of it is no longer about this cell; empty where it is. */
  stale: string;
  /** The steps whose values it takes. */
  after: string[];
}

const SOON = 200;

export class NotebookModel {
  private readonly changes = new Signal<this, void>(this);
  private readonly asking: Later;
  private readonly reading: Later;
  private records: readonly Step[] = [];
  private watched: NotebookPanel | null = null;
  private _options: readonly StepOption[] = [];
  steps: readonly NotebookStep[] = [];
  loaded = false;

  constructor(
    private readonly connection: Connection,
    private readonly tracker: INotebookTracker,
    private readonly contents: Contents.IManager
  ) {
    this.asking = new Later(() => this.ask(), SOON);
    this.reading = new Later(() => this.read(), SOON);
    connection.connected.connect(() => this.asking.ask());
    connection.changed.connect(() => this.changes.emit());
    connection.happened.connect(() => this.asking.ask());
    tracker.currentChanged.connect(() => this.watch());
    this.watch();
  }

  get changed(): ISignal<this, void> {
    return this.changes;
  }

  get panel(): NotebookPanel | null {
    return this.watched;
  }

  /** The options that a line may have, once the engine has told them. */
  get options(): readonly StepOption[] {
    return this._options;
  }

  get switches(): ReadonlySet<string> {
    return new Set(this._options.filter(option => option.metavar === null).map(option => option.flag));
  }

  /** The notebook as the engine knows it: its whole path. */
  pathOf(panel: NotebookPanel): string {
    const local = this.contents.localPath(panel.context.path);
    return this.connection.root ? `${this.connection.root.replace(/\/$/, '')}/${local}` : local;
  }

  step(cell: ICellModel): NotebookStep | undefined {
    return this.steps.find(step => step.cell === cell.id);
  }

  cell(step: NotebookStep): Cell | undefined {
    return this.watched?.content.widgets.find(cell => cell.model.id === step.cell);
  }

  private watch(): void {
    const panel = this.tracker.currentWidget;
    if (panel === this.watched) {
      return;
    }
    this.watched?.content.model?.contentChanged.disconnect(this.onContent);
    this.watched?.context.pathChanged.disconnect(this.onPath);
    this.watched = panel;
    this.records = [];
    this.loaded = false;
    this.read();
    if (panel) {
      void panel.context.ready.then(() => {
        if (panel === this.watched && !panel.isDisposed) {
          panel.content.model?.contentChanged.connect(this.onContent);
          panel.context.pathChanged.connect(this.onPath);
          this.read();
          this.asking.ask();
        }
      });
    }
  }

  private readonly onContent = () => this.reading.ask();

  private readonly onPath = () => this.asking.ask();

  private async ask(): Promise<void> {
    const panel = this.watched;
    if (!panel || panel.isDisposed || this.connection.liveness !== 'live') {
      return;
    }
    try {
      if (!this._options.length) {
        this._options = await this.connection.api.options();
      }
      const records = await this.connection.api.notebookSteps(this.pathOf(panel));
      if (panel === this.watched) {
        this.records = records;
        this.loaded = true;
        this.read();
      }
    } catch {
      // The connection tells what is wrong, and everything is read again when it is back.
    }
  }

  private read(): void {
    const cells = this.watched?.content.model?.cells;
    const found: NotebookStep[] = [];
    for (let index = 0; cells && index < cells.length; index++) {
      const cell = cells.get(index);
      const source = cell.sharedModel.getSource();
      const line = cell.type === 'code' ? lineOf(source) : null;
      if (line !== null) {
        found.push(this.found(cell.id, index, line, source));
      }
    }
    this.steps = linked(found);
    this.changes.emit();
  }

  private found(cell: string, index: number, line: string, source: string): NotebookStep {
    const name = nameOf(line, this.switches);
    const record =
      this.records.find(step => step.cell_id === cell && (!name || step.name === name)) ??
      this.records.find(step => name && step.name === name);
    const edited = record && record.source.trimEnd() !== bodyOf(source).trimEnd();
    const stale = edited ? 'The cell was edited since it ran.' : '';
    return { cell, index, name: name || (record?.name ?? ''), line, record, stale, after: [] };
  }
}

/** The steps with what they took from each other when they last ran. */
function linked(steps: NotebookStep[]): NotebookStep[] {
  const makers = new Map<string, NotebookStep>();
  for (const step of steps) {
    for (const output of step.record?.outputs ?? []) {
      makers.set(output.id, step);
    }
  }
  const known = steps.map(step => {
    const from = (step.record?.inputs ?? []).map(input => makers.get(input.id));
    const after = new Set(from.filter(maker => maker && maker.cell !== step.cell).map(maker => maker?.cell ?? ''));
    return { ...step, after: [...after] };
  });
  return known.map(step => {
    const newer = step.after
      .map(cell => steps.find(each => each.cell === cell))
      .find(maker => (maker?.record?.finished ?? 0) > (step.record?.started ?? Infinity));
    return newer && !step.stale ? { ...step, stale: `${newer.name} has run since.` } : step;
  });
}
