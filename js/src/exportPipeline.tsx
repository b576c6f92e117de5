/** Export to pipeline: the dialog, and what comes of it. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, Notification, ReactWidget } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import * as React from 'react';

import type { Api } from './api';
import { ExportAsked, ExportForm } from './components/exportForm';
import type { Connection } from './connection';
import type { NotebookModel } from './notebookModel';
import type { Exported, Pipeline, Proof } from './wire';

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
    prove: false,
    expression: null,
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone
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
  const doing = asked.prove && asked.to === 'bundle' ? 'Exporting and proving' : 'Exporting';
  const id = Notification.emit(`${doing} ${panel.title.label}…`, 'in-progress', { autoClose: false });
  const output = asked.output.startsWith('/') ? asked.output : `${model.rootFolder()}/${asked.output}`;
  const tell = (message: string, type: 'success' | 'error') =>
    Notification.update({ id, message, type, autoClose: type === 'success' ? 15_000 : false });
  try {
    const options = optionsOf(asked);
    const made = await connection.api.exportTo({ path: model.pathOf(panel), output, to: asked.to, options });
    if (made.code && !made.proof) {
      tell(`The export failed. ${made.problem || made.said}`, 'error');
      return;
    }
    const { expression, timezone } = asked;
    const isScheduled = asked.to === 'bundle' && expression !== null && !made.code;
    if (isScheduled) {
      const name = PathExt.basename(panel.context.path, '.ipynb');
      await connection.api.schedule({ path: output, name, expression, timezone });
    }
    const written =
      `${made.files.length} files written to ${asked.output}` + (isScheduled ? '; it is scheduled.' : '.');
    tell(
      [written, verdict(made.proof)].filter(Boolean).join(' '),
      made.proof?.holds === false ? 'error' : 'success'
    );
    await show(app, asked.output, made);
  } catch (error) {
    tell(`The export failed. ${words(error)}`, 'error');
  }
}

/** What is asked for, as `cellyard export` has it. */
function optionsOf({
  to,
  lock,
  prove,
  expression,
  timezone
}: ExportAsked): Record<string, string | boolean | null> {
  // Without a lock there is no environment to be made: then it is proven in the present one.
  return to === 'bundle'
    ? { 'no-lock': !lock, prove: prove && lock, 'prove-here': prove && !lock }
    : { schedule: expression, timezone: expression ? timezone : null };
}

/** What the proof has shown, in a sentence. */
function verdict(proof: Proof | null): string {
  if (!proof) {
    return '';
  }
  if (proof.problem) {
    return `It could not be proven: ${proof.problem}`;
  }
  const other = proof.comparisons.filter(each => !['identical', 'equal', 'close'].includes(each.verdict));
  return proof.holds
    ? `Proven: all ${proof.comparisons.length} values are those of the notebook.`
    : `Not proven: ${other.map(each => `${each.name} of ${each.step} is ${each.verdict}`).join(', ')}.`;
}

/** The folder in the file browser, and its first file to read. */
async function show(app: JupyterFrontEnd, output: string, made: Exported): Promise<void> {
  const first = ['proof.md', 'README.md', 'pipeline.yaml', ...made.files].find(name =>
    made.files.includes(name)
  );
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
