/** NotebookModel: the steps of an open notebook, as its cells say and as the engine knows them. */

import type { NotebookPanel } from '@jupyterlab/notebook';
import { ISignal, Signal } from '@lumino/signaling';

import type { Connection } from './connection';
import { bodyOf, lineOf, nameOf, switchesOf } from './stepLine';
import type { StepOptions } from './stepOptions';
import { Later } from './throttle';
import type { Whereabouts } from './whereabouts';
import type { Decision, Pipeline, PipelineStep, Resources, Step } from './wire';

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
  /** Whether the latest run was this cell's beyond doubt: as it is now, and no other cell can be meant. */
  isOwn: boolean;
  /** Why what is known of it is no longer about this cell; empty where it is. */
  stale: string;
  /** The steps whose values it takes. */
  after: string[];
  /** What a run of the notebook would do with it, once that was asked for. */
  decision: Decision | undefined;
}

/** What a model needs to know its notebook's steps. */
export interface Surroundings {
  connection: Connection;
  whereabouts: Whereabouts;
  options: StepOptions;
  /** Whether the notebook can be seen: about others nothing is asked. */
  isSeen: () => boolean;
}

type Names = ReadonlyMap<string, string>;

const SOON = 200;
/** A notebook that is being typed in is analysed when the typing rests. */
const RESTS = 700;

export class NotebookModel {
  private readonly changes = new Signal<this, void>(this);
  private readonly asking = new Later(() => this.ask(), SOON);
  private readonly reading = new Later(() => this.read(), SOON);
  private readonly analysing = new Later(() => this.analyse(), RESTS);
  private readonly connection: Connection;
  private records: readonly Step[] = [];
  steps: readonly NotebookStep[] = [];
  /** What pipeline the notebook is; null while that is not known. */
  pipeline: Pipeline | null = null;
  private byCell: ReadonlyMap<string, NotebookStep> = new Map();
  private plan = new Map<string, Decision>();
  /** The newest step when it was planned: what runs afterwards, the plan says nothing of. */
  private planned = 0;
  private saving: Promise<void> = Promise.resolve();
  /** When its file was written last before it was opened, in seconds since 1970. */
  private opened = 0;

  constructor(
    readonly panel: NotebookPanel,
    private readonly around: Surroundings
  ) {
    const { connection } = around;
    this.connection = connection;
    connection.connected.connect(this.askAll, this);
    connection.changed.connect(this.tell, this);
    connection.happened.connect(this.askSoon, this);
    void panel.context.ready.then(() => {
      if (!panel.isDisposed) {
        this.opened = Date.parse(panel.context.contentsModel?.last_modified ?? '') / 1000;
        panel.content.model?.contentChanged.connect(this.onContent, this);
        panel.context.pathChanged.connect(this.askSoon, this);
        panel.sessionContext.kernelChanged.connect(this.askSoon, this);
        this.read();
        this.askAll();
      }
    });
  }

  dispose(): void {
    this.asking.dispose();
    this.reading.dispose();
    this.analysing.dispose();
    Signal.clearData(this);
  }

  get changed(): ISignal<this, void> {
    return this.changes;
  }

  /** The notebook as the engine knows it: its whole path. */
  get path(): string {
    return this.around.whereabouts.whole(this.panel.context.path);
  }

  /** Whether its cells are Python, as far as is known. */
  get isPython(): boolean {
    const { kernelspec, language_info: info } = this.panel.content.model?.sharedModel.metadata ?? {};
    const language = info?.name ?? (kernelspec?.language as string | undefined);
    return !language || /python/i.test(language);
  }

  /** Whether the notebook was opened as it had been in the middle of this step. */
  isOfTheMiddleOf({ created, finished }: Step): boolean {
    return created <= this.opened && (finished === null || finished > this.opened);
  }

  /** Whether the notebook was opened as it had been before this step began. */
  isOfBefore({ created }: Step): boolean {
    return this.opened > 0 && created > this.opened;
  }

  /** The step that the cell with this id is. */
  step(cell: string): NotebookStep | undefined {
    return this.byCell.get(cell);
  }

  private tell(): void {
    this.changes.emit();
  }

  private askSoon(): void {
    this.asking.ask();
  }

  private onContent(): void {
    this.plan.clear();
    this.reading.ask();
    this.analysing.ask();
  }

  /** Ask for all that the engine knows of it. */
  askAll(): void {
    this.asking.ask();
    this.analysing.ask();
  }

  /** The notebook without what its cells have shown: what it is as a pipeline. */
  source(): unknown {
    const content = this.panel.content.model?.sharedModel.toJSON();
    return content && { ...content, cells: content.cells.map(cell => ({ ...cell, outputs: [] })) };
  }

  /** The path of a notebook whose file is as it is here. What has not changed is not written: its file may just have been,
   * and JupyterLab would take that for somebody else's change. */
  async saved(): Promise<string> {
    const save = async () => {
      if (this.panel.context.model.dirty) {
        await this.panel.context.save();
      }
    };
    // One after the other, for the same reason.
    this.saving = this.saving.then(save, save);
    await this.saving;
    return this.path;
  }

  /** Ask what a run of the notebook, which is saved first, would do with each step. Rejects with the reason. */
  async makePlan(): Promise<void> {
    const found = await this.connection.api.plan(await this.saved());
    await this.ask();
    this.planned = newestOf(this.records);
    this.plan = new Map(found.map(each => [each.name, each]));
    this.read();
  }

  private get canAsk(): boolean {
    return !this.panel.isDisposed && this.connection.liveness === 'live' && this.around.isSeen();
  }

  private async analyse(): Promise<void> {
    if (!this.canAsk || !this.steps.some(step => step.marked)) {
      return;
    }
    try {
      this.pipeline = await this.connection.api.pipeline(this.source());
      this.read();
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
    if (!this.canAsk) {
      return;
    }
    try {
      await this.around.options.all();
      await this.around.whereabouts.tell(this.panel.sessionContext.session, this.panel.context.path);
      this.records = await this.connection.api.notebookSteps(this.path);
      if (newestOf(this.records) > this.planned) {
        this.plan.clear();
      }
      this.read();
    } catch {
      // The connection tells what is wrong, and everything is read again when it is back.
    }
  }

  private read(): void {
    if (this.panel.isDisposed) {
      return;
    }
    const cells = this.panel.content.model?.cells;
    const planned = new Map((this.pipeline?.steps ?? []).map(step => [step.cell_id, step]));
    const switches = switchesOf(this.around.options.known);
    const named = this.named(planned, switches);
    const found: NotebookStep[] = [];
    for (let index = 0; cells && index < cells.length; index++) {
      const cell = cells.get(index);
      const source = cell.sharedModel.getSource();
      const line = cell.type === 'code' ? lineOf(source) : null;
      const plan = planned.get(cell.id);
      if (line !== null) {
        const name = named.get(cell.id) ?? '';
        const about = { cell: cell.id, index, name, line, marked: true, resources: plan?.resources ?? null };
        found.push({
          ...about,
          ...this.known(cell.id, source, named),
          after: [],
          decision: this.plan.get(name)
        });
      } else if (plan && !plan.marked && cell.type === 'code') {
        const about = { cell: cell.id, index, name: plan.name, line: '', marked: false, resources: null };
        found.push({
          ...about,
          record: undefined,
          isOwn: false,
          stale: '',
          after: [],
          decision: this.plan.get(plan.name)
        });
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

  /** The names of the marked cells, by their ids. */
  private named(planned: ReadonlyMap<string | null, PipelineStep>, switches: ReadonlySet<string>): Names {
    const found = new Map<string, string>();
    for (const cell of this.panel.content.model?.cells ?? []) {
      const line = cell.type === 'code' ? lineOf(cell.sharedModel.getSource()) : null;
      if (line !== null) {
        found.set(cell.id, nameOf(line, switches) || (planned.get(cell.id)?.name ?? ''));
      }
    }
    return found;
  }

  /** What has run of a cell's step. A cell that was made anew has another id, and is known by its step's name; but not by
   * that of another cell which is there as well: a copy has not run yet. */
  private known(
    cell: string,
    source: string,
    named: Names
  ): Pick<NotebookStep, 'record' | 'isOwn' | 'stale'> {
    const name = named.get(cell) ?? '';
    const own = this.records.find(step => step.cell_id === cell && (!name || step.name === name));
    const newest = this.records.find(step => step.name === (name || own?.name));
    const isOthers = newest !== undefined && named.get(newest.cell_id ?? '') === newest.name;
    const record = isOthers ? own : newest;
    if (record && record.source.trimEnd() !== bodyOf(source).trimEnd()) {
      return { record, isOwn: false, stale: 'The cell was edited since it ran.' };
    }
    const isPassed = own && newest && own.id < newest.id && isOthers;
    const stale = isPassed ? `Another cell called ${own.name} has run since.` : '';
    // Also where the ids of cells are new with each opening, as in files of an older format.
    const isAlone = name !== '' && [...named.values()].filter(each => each === name).length === 1;
    return { record, isOwn: record !== undefined && (record === own || isAlone), stale };
  }
}

function newestOf(records: readonly Step[]): number {
  return Math.max(0, ...records.map(step => step.id));
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
    isOwn: true,
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
