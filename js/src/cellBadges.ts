/** Badges under the cells of a notebook's steps, and output that comes back after a page reload or a kernel restart. */

import { ReactWidget } from '@jupyterlab/apputils';
import type { Cell, CodeCell } from '@jupyterlab/cells';
import { Signal } from '@lumino/signaling';
import type { PanelLayout } from '@lumino/widgets';
import * as React from 'react';

import { StepBar } from './components/stepBar';
import type { Connection } from './connection';
import { Executions } from './executions';
import type { NotebookModel, NotebookStep } from './notebookModel';
import { applyTo, errorOf } from './outputs';
import { ENDED, EngineEvent, Failure, Step } from './wire';

export interface BadgeActions {
  stop: (step: NotebookStep) => void;
  openRun: (run: number) => void;
}

class Badge extends ReactWidget {
  constructor(private readonly draw: () => React.ReactElement) {
    super();
    this.addClass('cy-badge-host');
  }

  protected override render(): React.ReactElement {
    return this.draw();
  }
}

export class CellBadges {
  private readonly badges = new Map<string, Badge>();
  private readonly executions: Executions;
  private readonly coming = new WeakSet<Cell>();
  /** Steps whose output comes from here. */
  private readonly attached = new Map<number, AbortController>();
  /** Steps of which it was asked whether they are to come back. */
  private readonly asked = new Set<number>();

  constructor(
    private readonly connection: Connection,
    private readonly model: NotebookModel,
    private readonly actions: BadgeActions
  ) {
    model.changed.connect(this.look, this);
    this.executions = new Executions(model, () => this.look());
    model.panel.disposed.connect(() => Signal.clearData(this));
    this.look();
  }

  private look(): void {
    const { panel } = this.model;
    if (panel.isDisposed) {
      return;
    }
    this.executions.settle();
    const steps = new Map(this.model.steps.filter(step => step.marked).map(step => [step.cell, step]));
    for (const cell of panel.content.widgets) {
      const step = steps.get(cell.model.id);
      if (step) {
        this.show(cell);
        this.comeBack(cell as CodeCell, step);
      } else {
        this.hide(cell.model.id);
      }
    }
  }

  private show(cell: Cell): void {
    const id = cell.model.id;
    const known = this.badges.get(id);
    if (known && !known.isDisposed && known.parent === cell) {
      return;
    }
    if (!cell.inputArea) {
      this.showLater(cell);
      return;
    }
    known?.dispose();
    const badge = new Badge(() =>
      React.createElement(StepBar, {
        cell: id,
        model: this.model,
        connection: this.connection,
        canShow: () => this.canShow(cell as CodeCell),
        onShow: () => this.attach(cell as CodeCell, this.model.step(id)),
        onStop: () => this.withStep(cell, this.actions.stop),
        onOpen: this.actions.openRun
      })
    );
    const layout = cell.layout as PanelLayout;
    const below = layout.widgets.findIndex(widget => widget.hasClass('jp-Cell-inputWrapper'));
    layout.insertWidget(below + 1, badge);
    this.badges.set(id, badge);
  }

  /** A cell that JupyterLab has not drawn yet has no place for a badge. */
  private showLater(cell: Cell): void {
    if (!this.coming.has(cell)) {
      this.coming.add(cell);
      void cell.ready.then(() => this.look());
    }
  }

  private hide(id: string): void {
    this.badges.get(id)?.dispose();
    this.badges.delete(id);
  }

  private withStep(cell: Cell, work: (step: NotebookStep) => void): void {
    const step = this.model.step(cell.model.id);
    if (step) {
      work(step);
    }
  }

  /** Whether the step has shown something that its cell does not show. */
  private canShow(cell: CodeCell): boolean {
    const record = this.model.step(cell.model.id)?.record;
    // A cell that has a number shows what it showed then.
    const nothing = cell.model.outputs.length === 0 && cell.model.executionCount === null;
    const isOver = record && ENDED.has(record.state) && !this.attached.has(record.id);
    return Boolean(isOver && nothing && !this.executions.has(cell.model.id));
  }

  /** A step whose kernel does not tell this page what it shows: the page was loaded anew, or the kernel started again.
   * It runs, or has ended since its cell showed what it does: output without a number is that of its middle, and so is
   * none in a notebook that was saved then, or not since. */
  private comeBack(cell: CodeCell, step: NotebookStep): void {
    const { record } = step;
    const { outputs, executionCount } = cell.model;
    const isOfItsMiddle = (at: Step) => outputs.length > 0 || this.model.isOfTheMiddleOf(at);
    if (
      record &&
      (step.isOwn || record.cell_id === step.cell) &&
      this.connection.liveness === 'live' &&
      !this.executions.has(step.cell) &&
      this.model.panel.isVisible
    ) {
      const isCutShort =
        this.executions.takeLost(step.cell) || (executionCount === null && isOfItsMiddle(record));
      if (isCutShort || !ENDED.has(record.state)) {
        this.attach(cell, step);
      } else {
        void this.comeBackUnsaved(cell, step, record);
      }
    }
  }

  /** A kernel ran the cell as it is, after the notebook was saved last before it was opened here. In what was run without
   * its notebook's kernel, nobody has looked for output under a cell. */
  private async comeBackUnsaved(cell: CodeCell, step: NotebookStep, record: Step): Promise<void> {
    const isOfHere = this.executions.hasBegun(record.cell_id ?? step.cell);
    const isUnsaved = step.isOwn && this.model.isOfBefore(record) && !isOfHere;
    if (!isUnsaved || !this.canShow(cell) || this.asked.has(record.id)) {
      return;
    }
    this.asked.add(record.id);
    try {
      const { kind } = await this.connection.api.run(record.run_id);
      if (kind === 'cell' && !cell.isDisposed && this.canShow(cell)) {
        this.attach(cell, step);
      }
    } catch {
      // There is a button for it.
    }
  }

  private attach(cell: CodeCell, step: NotebookStep | undefined): void {
    const record = step?.record;
    if (!record || this.attached.has(record.id)) {
      return;
    }
    const abort = new AbortController();
    this.attached.set(record.id, abort);
    const { outputs } = cell.model;
    cell.disposed.connect(() => abort.abort());
    outputs.clear();
    const heard = (event: EngineEvent) => {
      if (this.executions.has(step.cell)) {
        // Run again here: from now on the kernel tells.
        abort.abort();
      } else if (event.step_id === record.id && event.kind === 'output') {
        applyTo(outputs, event.content);
      } else if (event.step_id === record.id && event.kind === 'finished') {
        applyTo(outputs, errorOf(event.content.error as Failure | null));
        cell.model.executionCount = record.execution_count || null;
      }
    };
    void this.connection.followRun(record.run_id, heard, abort.signal);
  }
}
