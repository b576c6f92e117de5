/** Badges under the cells of a notebook's steps, in one view of it. */

import { ReactWidget } from '@jupyterlab/apputils';
import type { Cell, CodeCell } from '@jupyterlab/cells';
import { Signal } from '@lumino/signaling';
import type { PanelLayout } from '@lumino/widgets';
import * as React from 'react';

import { ComingBack } from './comingBack';
import { StepBar } from './components/stepBar';
import type { Connection } from './connection';
import type { NotebookModel, NotebookStep } from './notebookModel';

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
  private readonly comingBack: ComingBack;
  private readonly coming = new WeakSet<Cell>();

  constructor(
    private readonly connection: Connection,
    private readonly model: NotebookModel,
    private readonly actions: BadgeActions
  ) {
    model.changed.connect(this.look, this);
    this.comingBack = ComingBack.of(connection, model, () => this.look());
    model.panel.disposed.connect(() => Signal.clearData(this));
    this.look();
  }

  private look(): void {
    const { panel } = this.model;
    if (panel.isDisposed) {
      return;
    }
    this.comingBack.settle(this.model);
    const steps = new Map(this.model.steps.filter(step => step.marked).map(step => [step.cell, step]));
    for (const cell of panel.content.widgets) {
      const step = steps.get(cell.model.id);
      if (step) {
        this.show(cell);
        this.comingBack.look(this.model, cell as CodeCell, step);
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
        canShow: () => this.comingBack.canShow(cell as CodeCell, this.model.step(id)?.record),
        onShow: () => this.comingBack.attach((cell as CodeCell).model, this.model.step(id)?.record),
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
}
