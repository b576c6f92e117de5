/** Export to pipeline: the dialog, and what comes of it. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, Notification, ReactWidget } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import * as React from 'react';

import type { Api } from './api';
import { ExportAsked, ExportForm } from './components/exportForm';
import type { Connection } from './connection';
import type { NotebookModel } from './notebookModel';
import type { Exported, Pipeline } from './wire';

interface Place {
  app: JupyterFrontEnd;
  connection: Connection;
  model: NotebookModel;
  goToCell: (cell: number) => void;
}

class ExportBody extends ReactWidget implements Dialog.IBodyWidget<ExportAsked> {
  constructor(
    private readonly api: Api,
    private readonly pipeline: Pipeline,
    private asked: ExportAsked,
    private readonly onProblem: (cell: number) => void
  ) {
    super();
  }

  getValue(): ExportAsked {
    return this.asked;
  }

  protected override render(): React.ReactElement {
    const onChange = (asked: ExportAsked) => {
      this.asked = asked;
    };
    return (
      <ExportForm
        api={this.api}
        pipeline={this.pipeline}
        asked={this.asked}
        onChange={onChange}
        onProblem={this.onProblem}
      />
    );
  }
}

/** Ask what is wanted, save the notebook, write the files, show them, and schedule them if that was asked for. */
export async function exportPipeline(place: Place): Promise<void> {
  const { connection, model } = place;
  const { panel } = model;
  if (!panel) {
    return;
  }
  let pipeline: Pipeline;
  try {
    connection.start();
    pipeline = await connection.api.pipeline(model.source());
  } catch (error) {
    Notification.error(`The notebook could not be read as a pipeline: ${words(error)}`);
    return;
  }
  const asked = await ask(place, panel, pipeline);
  if (asked) {
    await panel.context.save();
    await carryOut(place, panel, asked);
  }
}

async function ask(place: Place, panel: NotebookPanel, pipeline: Pipeline): Promise<ExportAsked | null> {
  const stem = panel.context.localPath.replace(/\.ipynb$/, '');
  const first: ExportAsked = {
    to: 'bundle',
    output: `${stem}-pipeline`,
    lock: true,
    expression: null,
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    schedules: true
  };
  const onProblem = (cell: number) => {
    dialog.reject();
    place.goToCell(cell);
  };
  const isGood = pipeline.steps.length > 0 && !pipeline.problems.some(problem => problem.level === 'error');
  const dialog: Dialog<ExportAsked> = new Dialog({
    title: 'Export to pipeline',
    body: new ExportBody(place.connection.api, pipeline, first, onProblem),
    buttons: isGood
      ? [Dialog.cancelButton(), Dialog.okButton({ label: 'Export' })]
      : [Dialog.cancelButton({ label: 'Close' })]
  });
  dialog.addClass('cy-dialog');
  const { button, value } = await dialog.launch();
  return button.accept ? value : null;
}

async function carryOut(place: Place, panel: NotebookPanel, asked: ExportAsked): Promise<void> {
  const { app, connection, model } = place;
  const id = Notification.emit(`Exporting ${panel.title.label}…`, 'in-progress', { autoClose: false });
  try {
    const root = model.rootFolder();
    const made = await connection.api.exportTo({
      path: model.pathOf(panel),
      output: asked.output.startsWith('/') ? asked.output : `${root}/${asked.output}`,
      to: asked.to,
      lock: asked.lock,
      expression: asked.to === 'bundle' ? null : asked.expression,
      timezone: asked.expression ? asked.timezone : null
    });
    const { expression, timezone } = asked;
    const scheduled =
      asked.to === 'bundle' && expression
        ? await connection.api.schedule({ path: made.output, expression, timezone })
        : null;
    const text =
      `${made.files.length} files written to ${asked.output}` + (scheduled ? '; it is scheduled.' : '.');
    Notification.update({
      id,
      message: [text, ...made.notes].join(' '),
      type: 'success',
      autoClose: 15_000
    });
    await show(app, asked.output, made);
  } catch (error) {
    Notification.update({
      id,
      message: `The export failed. ${words(error)}`,
      type: 'error',
      autoClose: false
    });
  }
}

/** The folder in the file browser, and its first file to read. */
async function show(app: JupyterFrontEnd, output: string, made: Exported): Promise<void> {
  const first = ['README.md', 'pipeline.yaml', ...made.files].find(name => made.files.includes(name));
  if (!output.startsWith('/')) {
    await app.commands.execute('filebrowser:open-path', { path: output, dontShowBrowser: true });
    if (first) {
      const factory = first.endsWith('.md') ? 'Markdown Preview' : undefined;
      await app.commands.execute('docmanager:open', { path: `${output}/${first}`, factory });
    }
  }
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
