/** ComingBack: what steps show that no kernel tells this page, after a reload or a kernel's restart. One for a document:
 * all its views show the same outputs, and what were written by each would be there twice. */

import type { CodeCell, ICodeCellModel } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';

import type { Connection } from './connection';
import { Executions } from './executions';
import type { NotebookModel, NotebookStep } from './notebookModel';
import { applyTo, errorOf } from './outputs';
import { ENDED, EngineEvent, Failure, Step } from './wire';

type Context = NotebookPanel['context'];

const OF_DOCUMENT = new WeakMap<Context, ComingBack>();

export class ComingBack {
  private readonly views = new Map<NotebookModel, () => void>();
  private readonly executions: Executions;
  /** Steps whose output comes from here. */
  private readonly attached = new Set<number>();
  /** Of what kind runs are; empty while that is being asked. */
  private readonly kinds = new Map<number, string>();
  private readonly gone = new AbortController();

  private constructor(
    private readonly connection: Connection,
    context: Context
  ) {
    this.executions = new Executions(context, this.views, () => this.tell());
    context.disposed.connect(() => this.gone.abort());
  }

  /** That of a view's document; `look` is called when there is something new, until the view is closed. */
  static of(connection: Connection, view: NotebookModel, look: () => void): ComingBack {
    const { panel } = view;
    const found = OF_DOCUMENT.get(panel.context) ?? new ComingBack(connection, panel.context);
    OF_DOCUMENT.set(panel.context, found);
    found.views.set(view, look);
    panel.disposed.connect(() => found.views.delete(view));
    return found;
  }

  private tell(): void {
    [...this.views.values()].forEach(look => look());
  }

  /** A view knows more than before. */
  settle(view: NotebookModel): void {
    this.executions.settle(view);
  }

  /** Whether the step has shown something that its cell does not show. */
  canShow(cell: CodeCell, record: Step | undefined): boolean {
    // A cell that has a number shows what it showed then.
    const nothing = cell.model.outputs.length === 0 && cell.model.executionCount === null;
    const isOver = record && ENDED.has(record.state) && !this.attached.has(record.id);
    return Boolean(isOver && nothing && !this.executions.has(cell.model.id));
  }

  /** Show what a step shows whose kernel does not tell this page: the page was loaded anew, or the kernel started again. */
  look(view: NotebookModel, cell: CodeCell, step: NotebookStep): void {
    const { record } = step;
    if (
      record &&
      (step.isOwn || record.cell_id === step.cell) &&
      this.connection.liveness === 'live' &&
      !this.executions.has(step.cell) &&
      !this.executions.hasTold(record.id) &&
      !this.attached.has(record.id) &&
      view.panel.isVisible &&
      this.isWanting(view, cell, step, record) &&
      this.isOfACell(record.run_id)
    ) {
      this.attach(cell.model, record);
    }
  }

  /** Whether the cell is to show what the step does. It runs, or has ended since its cell showed what it does: output
   * without a number is that of its middle, and so is none in a notebook that was saved then, or not since. */
  private isWanting(view: NotebookModel, cell: CodeCell, step: NotebookStep, record: Step): boolean {
    const { outputs, executionCount } = cell.model;
    const isOfItsMiddle = outputs.length > 0 || view.isOfTheMiddleOf(record);
    const isCutShort = this.executions.isLost(step.cell) || (executionCount === null && isOfItsMiddle);
    return isCutShort || !ENDED.has(record.state) || this.isUnsaved(view, cell, step, record);
  }

  /** Whether a kernel ran the cell as it is, after the notebook was saved last before it was opened here. */
  private isUnsaved(view: NotebookModel, cell: CodeCell, step: NotebookStep, record: Step): boolean {
    const isOfHere = this.executions.hasBegun(record.cell_id ?? step.cell);
    return step.isOwn && view.isOfBefore(record) && !isOfHere && this.canShow(cell, record);
  }

  /** Whether the notebook's kernel ran the cell: under a cell nobody looks for what was run without it. While that is not
   * known it is asked, and told. */
  private isOfACell(run: number): boolean {
    const kind = this.kinds.get(run);
    if (kind === undefined) {
      this.kinds.set(run, '');
      this.connection.api.run(run).then(
        found => {
          this.kinds.set(run, found.kind);
          this.tell();
        },
        // It is asked again with the next look; for what has ended there is a button, too.
        () => this.kinds.delete(run)
      );
    }
    return kind === 'cell';
  }

  /** Show in the cell what the step has shown and shows. */
  attach(cell: ICodeCellModel, record: Step | undefined): void {
    if (!record || this.attached.has(record.id)) {
      return;
    }
    this.attached.add(record.id);
    this.executions.forgetLost(cell.id);
    const abort = new AbortController();
    const { outputs } = cell;
    outputs.clear();
    const heard = (event: EngineEvent) => {
      if (this.executions.has(cell.id) || cell.isDisposed) {
        // Run again here: from now on the kernel tells. Or there is nobody to be told.
        abort.abort();
      } else if (event.step_id === record.id && event.kind === 'output') {
        applyTo(outputs, event.content);
      } else if (event.step_id === record.id && event.kind === 'finished') {
        applyTo(outputs, errorOf(event.content.error as Failure | null));
        cell.executionCount = record.execution_count || null;
      }
    };
    const signal = AbortSignal.any([abort.signal, this.gone.signal]);
    void this.connection.followRun(record.run_id, heard, signal);
  }
}
