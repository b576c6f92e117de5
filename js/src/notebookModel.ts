/** NotebookModel: the steps of the notebook in front, as its cells say and as the engine knows them. */

import type { Cell } from '@jupyterlab/cells';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import { ISignal, Signal } from '@lumino/signaling';

import type { Connection } from './connection';
import { bodyOf, lineOf, nameOf, switchesOf } from './stepLine';
import { Later } from './throttle';
import type { Decision, Pipeline, Resources, Step, StepOption } from './wire';

/** A step of a notebook: its cell, and its latest run. One that is not `marked` is a plain cell that steps need. */
export interface NotebookStep {
  cell: string;
  index: number;
  name: string;
  line: string;
  marked: boolean;
  /** What its line asks for; null while that is not known. */
  resources: Resources | null;
  record: Step | undefined;
  /** Why what is known of it is no longer about this cell; empty where it is. */
  stale: string;
  /** The steps whose values it takes. */
  after: string[];
  /** What a run of the notebook would do with it, once that was asked for. */
  decision: Decision | undefined;
}

const SOON = 200;
/** A notebook that is being typed in is analysed when the typing rests. */
const RESTS = 700;

export class NotebookModel {
  private readonly changes = new Signal<this, void>(this);
  private readonly asking: Later;
  private readonly reading: Later;
  private readonly analysing: Later;
  private records: readonly Step[] = [];
  private watched: NotebookPanel | null = null;
  private _options: readonly StepOption[] = [];
  steps: readonly NotebookStep[] = [];
  /** What pipeline the notebook is; null while that is not known. */
  pipeline: Pipeline | null = null;
  private byCell: ReadonlyMap<string, NotebookStep> = new Map();
  private plan = new Map<string, Decision>();
  loaded = false;

  constructor(
    private readonly connection: Connection,
    private readonly tracker: INotebookTracker,
    private readonly contents: Contents.IManager
  ) {
    this.asking = new Later(() => this.ask(), SOON);
    this.reading = new Later(() => this.read(), SOON);
    this.analysing = new Later(() => this.analyse(), RESTS);
    connection.connected.connect(() => this.askAll());
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

  /** The notebook as the engine knows it: its whole path. */
  pathOf(panel: NotebookPanel): string {
    return [this.rootFolder(), this.contents.localPath(panel.context.path)].filter(Boolean).join('/');
  }

  /** Where the server's files are, without a slash at the end. */
  rootFolder(): string {
    return (this.connection.root ?? '').replace(/\/$/, '');
  }

  /** The step that the cell with this id is. */
  step(cell: string): NotebookStep | undefined {
    return this.byCell.get(cell);
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
    this.pipeline = null;
    this.plan.clear();
    this.loaded = false;
    this.read();
    if (panel) {
      void panel.context.ready.then(() => {
        if (panel === this.watched && !panel.isDisposed) {
          panel.content.model?.contentChanged.connect(this.onContent);
          panel.context.pathChanged.connect(this.onPath);
          this.read();
          this.askAll();
        }
      });
    }
  }

  private readonly onContent = () => {
    this.plan.clear();
    this.reading.ask();
    this.analysing.ask();
  };

  private readonly onPath = () => this.asking.ask();

  private askAll(): void {
    this.asking.ask();
    this.analysing.ask();
  }

  /** The notebook without what its cells have shown: what it is as a pipeline. */
  source(): unknown {
    const content = this.watched?.content.model?.sharedModel.toJSON();
    return content && { ...content, cells: content.cells.map(cell => ({ ...cell, outputs: [] })) };
  }

  /** The path of a notebook whose file is as it is here. What has not changed is not written: its file may just have been,
   * and JupyterLab would take that for somebody else's change. */
  async saved(panel: NotebookPanel): Promise<string> {
    if (panel.context.model.dirty) {
      await panel.context.save();
    }
    return this.pathOf(panel);
  }

  /** Ask what a run of the notebook, which is saved first, would do with each step. Rejects with the reason. */
  async makePlan(): Promise<void> {
    const panel = this.watched;
    if (!panel) {
      return;
    }
    const found = await this.connection.api.plan(await this.saved(panel));
    if (panel === this.watched) {
      this.plan = new Map(found.map(each => [each.name, each]));
      this.read();
    }
  }

  private async analyse(): Promise<void> {
    const panel = this.watched;
    const isStep = this.steps.some(step => step.marked);
    if (!panel || panel.isDisposed || this.connection.liveness !== 'live' || !isStep) {
      return;
    }
    try {
      const found = await this.connection.api.pipeline(this.source());
      if (panel === this.watched) {
        this.pipeline = found;
        this.read();
      }
    } catch {
      // A notebook that cannot be read as a pipeline still has its steps.
      this.pipeline = null;
    }
  }

  /** What the engine knows of the notebook's steps is known here, too, once this resolves. */
  refresh(): Promise<void> {
    return this.ask();
  }

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
    const planned = new Map((this.pipeline?.steps ?? []).map(step => [step.cell_id, step]));
    const switches = switchesOf(this._options);
    const found: NotebookStep[] = [];
    for (let index = 0; cells && index < cells.length; index++) {
      const cell = cells.get(index);
      const source = cell.sharedModel.getSource();
      const line = cell.type === 'code' ? lineOf(source) : null;
      const plan = planned.get(cell.id);
      if (line !== null) {
        const name = nameOf(line, switches) || (plan?.name ?? '');
        const about = { cell: cell.id, index, name, line, marked: true, resources: plan?.resources ?? null };
        found.push({
          ...about,
          ...this.known(cell.id, name, source),
          after: [],
          decision: this.plan.get(name)
        });
      } else if (plan && !plan.marked && cell.type === 'code') {
        const about = { cell: cell.id, index, name: plan.name, line: '', marked: false, resources: null };
        found.push({ ...about, record: undefined, stale: '', after: [], decision: this.plan.get(plan.name) });
      }
    }
    const had = this.steps.length;
    // What is as it was stays the same object: of hundreds of badges only those are drawn again that have changed.
    const before = this.byCell;
    this.byCell = new Map(linked(found, this.pipeline).map(step => [step.cell, unchanged(before, step)]));
    this.steps = [...this.byCell.values()];
    if (!had && found.length) {
      this.analysing.ask();
    }
    this.changes.emit();
  }

  private known(cell: string, name: string, source: string): Pick<NotebookStep, 'record' | 'stale'> {
    const record =
      this.records.find(step => step.cell_id === cell && (!name || step.name === name)) ??
      this.records.find(step => name && step.name === name);
    const edited = record && record.source.trimEnd() !== bodyOf(source).trimEnd();
    return { record, stale: edited ? 'The cell was edited since it ran.' : '' };
  }
}

function unchanged(before: ReadonlyMap<string, NotebookStep>, step: NotebookStep): NotebookStep {
  const old = before.get(step.cell);
  return old && JSON.stringify(old) === JSON.stringify(step) ? old : step;
}

/** The steps with those that they come after, and with what has run since. */
function linked(steps: readonly NotebookStep[], pipeline: Pipeline | null): NotebookStep[] {
  const before = pipeline ? planned(steps, pipeline) : taken(steps);
  const byCell = new Map(steps.map(step => [step.cell, step]));
  return steps.map(step => {
    const after = before.get(step.cell) ?? [];
    const newer = after
      .map(cell => byCell.get(cell))
      .find(maker => (maker?.record?.finished ?? 0) > (step.record?.started ?? Infinity));
    const stale = step.stale || (newer ? `${newer.name} has run since.` : '');
    return { ...step, after, stale };
  });
}

/** By cell: those that the pipeline has before it. */
function planned(steps: readonly NotebookStep[], pipeline: Pipeline): Map<string, string[]> {
  const cells = new Map(steps.map(step => [step.name, step.cell]));
  const found = new Map<string, string[]>();
  for (const edge of pipeline.edges) {
    const [from, to] = [cells.get(edge.from), cells.get(edge.to)];
    if (from && to && !found.get(to)?.includes(from)) {
      found.set(to, [...(found.get(to) ?? []), from]);
    }
  }
  return found;
}

/** The steps of a run, as those of a notebook whose cells are its records; each after those whose values it took. */
export function stepsOfRun(records: readonly Step[]): NotebookStep[] {
  const steps = records.map((record, index) => ({
    cell: String(record.id),
    index,
    name: record.name,
    line: record.raw_line,
    marked: true,
    resources: record.resources,
    record,
    stale: '',
    after: [],
    decision: undefined
  }));
  const before = taken(steps);
  return steps.map(step => ({ ...step, after: before.get(step.cell) ?? [] }));
}

/** By cell: those whose values it took when it last ran. */
function taken(steps: readonly NotebookStep[]): Map<string, string[]> {
  const makers = new Map(
    steps.flatMap(step => (step.record?.outputs ?? []).map(output => [output.id, step.cell]))
  );
  return new Map(
    steps.map(step => {
      const from = (step.record?.inputs ?? []).map(input => makers.get(input.id));
      return [step.cell, [...new Set(from)].filter((cell): cell is string => !!cell && cell !== step.cell)];
    })
  );
}
