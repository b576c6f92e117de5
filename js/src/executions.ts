/** Executions: the cells of a notebook whose output comes to this page from their kernel. */

import type { Cell } from '@jupyterlab/cells';
import { Notebook, NotebookActions } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';

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

/** One that is being shut down still has its last words. */
const LOST: ReadonlySet<Kernel.Status> = new Set(['restarting', 'autorestarting', 'dead']);

export class Executions {
  private readonly known = new Map<string, Execution>();
  private readonly lost = new Set<string>();
  /** Cells that were run in this page. */
  private readonly begun = new Set<string>();

  constructor(
    private readonly model: NotebookModel,
    private readonly onChange: () => void
  ) {
    NotebookActions.executionScheduled.connect(this.onScheduled, this);
    NotebookActions.executed.connect(this.onExecuted, this);
    const { sessionContext } = model.panel;
    sessionContext.statusChanged.connect((_, status) => LOST.has(status) && this.lose(), this);
    sessionContext.kernelChanged.connect((_, { oldValue }) => oldValue && this.lose(), this);
    sessionContext.connectionStatusChanged.connect(
      (_, status) => this.known.forEach(each => (each.isUnheard = status !== 'connected')),
      this
    );
  }

  /** Whether the kernel tells this page what the cell shows. */
  has(cell: string): boolean {
    return this.known.has(cell);
  }

  /** Whether the cell was ever run in this page. */
  hasBegun(cell: string): boolean {
    return this.begun.has(cell);
  }

  /** Whether the kernel that told what the cell shows was lost before it had told all; true once for each. */
  takeLost(cell: string): boolean {
    return this.lost.delete(cell);
  }

  /** Forget those that have come to their end. */
  settle(): void {
    for (const [cell, { hasExecuted, isUnheard }] of this.known) {
      const record = this.model.step(cell)?.record;
      if (hasExecuted && !isUnheard && (!record || ENDED.has(record.state))) {
        this.known.delete(cell);
      }
    }
  }

  private onScheduled(_: unknown, { notebook, cell }: Executed): void {
    if (notebook === this.model.panel.content) {
      this.known.set(cell.model.id, { hasExecuted: false, isUnheard: false });
      this.begun.add(cell.model.id);
      this.lost.delete(cell.model.id);
    }
  }

  private onExecuted(_: unknown, { notebook, cell }: Executed): void {
    const execution = this.known.get(cell.model.id);
    if (notebook === this.model.panel.content && execution) {
      void this.hasExecuted(execution);
    }
  }

  /** Whether the step has ended with its cell, what is known here may not tell yet. */
  private async hasExecuted(execution: Execution): Promise<void> {
    await this.model.refresh();
    execution.hasExecuted = true;
    this.onChange();
  }

  /** A kernel that is there no more tells nothing. */
  private lose(): void {
    this.known.forEach((_, cell) => this.lost.add(cell));
    this.known.clear();
    void this.model.refresh().then(this.onChange);
  }
}
