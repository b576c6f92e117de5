/** Executions: the cells of a document whose output comes to this page from their kernel, whichever view runs them. */

import type { Cell } from '@jupyterlab/cells';
import { Notebook, NotebookActions, NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';

import type { NotebookModel } from './notebookModel';
import { ENDED } from './wire';

/** Of one that has executed, the step may still run: with `--async` the kernel goes on telling. */
interface Execution {
  hasExecuted: boolean;
  /** Its kernel cannot be heard now; when it is back, it tells what was missed. */
  isUnheard: boolean;
}

interface Executed {
  notebook: Notebook;
  cell: Cell;
}

type Context = NotebookPanel['context'];

/** One that is being shut down still has its last words. */
const LOST: ReadonlySet<Kernel.Status> = new Set(['restarting', 'autorestarting', 'dead']);

export class Executions {
  private readonly known = new Map<string, Execution>();
  private readonly lost = new Set<string>();
  /** Cells that were run in this page. */
  private readonly begun = new Set<string>();
  /** Steps of which the kernel has told all that they show. */
  private readonly told = new Set<number>();

  constructor(
    private readonly context: Context,
    /** The views of the document that are open. */
    private readonly views: ReadonlyMap<NotebookModel, unknown>,
    private readonly onChange: () => void
  ) {
    NotebookActions.executionScheduled.connect(this.onScheduled, this);
    NotebookActions.executed.connect(this.onExecuted, this);
    const { sessionContext } = context;
    sessionContext.statusChanged.connect((_, status) => LOST.has(status) && this.lose(), this);
    sessionContext.kernelChanged.connect((_, { oldValue }) => oldValue && this.lose(), this);
    sessionContext.connectionStatusChanged.connect(
      (_, status) => this.known.forEach(each => (each.isUnheard = status !== 'connected')),
      this
    );
    context.disposed.connect(() => Signal.clearData(this));
  }

  /** Whether the kernel tells this page what the cell shows. */
  has(cell: string): boolean {
    return this.known.has(cell);
  }

  /** Whether the kernel has told this page all that the step shows. A view that was not seen may learn of its end late. */
  hasTold(step: number): boolean {
    return this.told.has(step);
  }

  /** Whether the cell was ever run in this page. */
  hasBegun(cell: string): boolean {
    return this.begun.has(cell);
  }

  /** Whether the kernel that told what the cell shows was lost before it had told all. */
  isLost(cell: string): boolean {
    return this.lost.has(cell);
  }

  /** Somebody else tells it. */
  forgetLost(cell: string): void {
    this.lost.delete(cell);
  }

  /** Forget those that have come to their end, as one view knows. */
  settle(view: NotebookModel): void {
    for (const [cell, { hasExecuted, isUnheard }] of this.known) {
      const record = view.step(cell)?.record;
      if (hasExecuted && !isUnheard && (!record || ENDED.has(record.state))) {
        this.known.delete(cell);
        if (record) {
          this.told.add(record.id);
        }
      }
    }
  }

  private onScheduled(_: unknown, { notebook, cell }: Executed): void {
    if (notebook.model === this.context.model) {
      this.known.set(cell.model.id, { hasExecuted: false, isUnheard: false });
      this.begun.add(cell.model.id);
      this.lost.delete(cell.model.id);
    }
  }

  private onExecuted(_: unknown, { notebook, cell }: Executed): void {
    const execution = this.known.get(cell.model.id);
    if (notebook.model === this.context.model && execution) {
      void this.hasExecuted(execution);
    }
  }

  /** Whether the step has ended with its cell, what is known here may not tell yet. */
  private async hasExecuted(execution: Execution): Promise<void> {
    await this.refresh();
    execution.hasExecuted = true;
    this.onChange();
  }

  /** A kernel that is there no more tells nothing. */
  private lose(): void {
    this.known.forEach((_, cell) => this.lost.add(cell));
    this.known.clear();
    void this.refresh().then(this.onChange);
  }

  private async refresh(): Promise<void> {
    await Promise.all([...this.views.keys()].map(view => view.refresh()));
  }
}
