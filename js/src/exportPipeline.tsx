/** Export to pipeline: the dialog, and what comes of it. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, Notification, ReactWidget } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import * as React from 'react';

import type { Api } from './api';
import { ExportAsked, ExportForm, isScheduling } from './components/exportForm';
import { ExportJob, ExportProgress, verdict } from './components/exportProgress';
import { FormDialog } from './components/formDialog';
import { changed } from './components/parameterTable';
import type { Connection } from './connection';
import { words } from './format';
import type { NotebookModel } from './notebookModel';
import { tellProblem } from './notices';
import type { Exported, Exporter, ExportWanted, Pipeline } from './wire';

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
    private readonly targets: readonly Exporter[],
    private readonly taken: ReadonlySet<string>,
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
        targets={this.targets}
        taken={this.taken}
        asked={this.asked}
        onChange={onChange}
        onProblem={this.onProblem}
      />
    );
  }
}

/** What was asked for and not done, by notebook: nobody is to type it again. */
const UNDONE = new WeakMap<NotebookModel, ExportAsked>();

/** Ask what is wanted, save the notebook, write the files, show them, and schedule them if that was asked for. */
export async function exportPipeline(place: Place): Promise<void> {
  const { connection, model } = place;
  let pipeline: Pipeline;
  let targets: Exporter[];
  let taken: ReadonlySet<string>;
  try {
    await connection.api.start();
    const [found, all, { schedules }] = await Promise.all([
      connection.api.pipeline(model.source()),
      connection.api.exporters(),
      connection.api.schedules()
    ]);
    [pipeline, targets, taken] = [found, all, new Set(schedules.map(each => each.name))];
  } catch (error) {
    tellProblem(`The notebook could not be read as a pipeline: ${words(error)}`);
    return;
  }
  const asked = await ask(place, pipeline, targets, taken);
  if (!asked) {
    return;
  }
  try {
    await model.saved();
  } catch (error) {
    tellProblem(`Nothing was exported: the notebook could not be saved. ${words(error)}`);
    return;
  }
  await carryOut(place, asked);
}

async function ask(
  place: Place,
  pipeline: Pipeline,
  targets: readonly Exporter[],
  taken: ReadonlySet<string>
): Promise<ExportAsked | null> {
  const { connection, model } = place;
  const path = model.panel.context.localPath.replace(/\.ipynb$/, '');
  const undone = UNDONE.get(model);
  // The schedule that was to be replaced may be gone by now.
  const first: ExportAsked = undone
    ? { ...undone, replaces: undone.replaces && taken.has(undone.scheduleName) }
    : {
        to: targets.find(each => each.writes_bundle) ?? targets[0],
        output: `${path}-pipeline`,
        lock: true,
        prove: false,
        given: {},
        expression: null,
        timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
        scheduleName: PathExt.basename(path),
        replaces: false
      };
  const onProblem = (cell: number) => {
    dialog.reject();
    place.goToCell(cell);
  };
  const body = new ExportBody(connection.api, pipeline, targets, taken, first, onProblem);
  const isGood = pipeline.steps.length > 0 && !pipeline.problems.some(problem => problem.level === 'error');
  const title = 'Export to pipeline';
  const prepare = async (asked: ExportAsked) => {
    UNDONE.set(model, asked);
    if (asked.expression && (asked.to.writes_bundle || asked.to.keeps_time)) {
      await connection.api.cron(asked.expression, asked.timezone ?? '');
    }
  };
  const dialog: Dialog<ExportAsked> = isGood
    ? new FormDialog({ title, body, accept: 'Export' }, prepare)
    : new Dialog({ title, body, buttons: [Dialog.cancelButton({ label: 'Close' })] });
  dialog.addClass('cy-dialog');
  const { button, value } = await dialog.launch();
  return button.accept ? value : null;
}

/** Carry it out in the sight of a dialog, which may be closed before the end: then a notification tells it. */
async function carryOut(place: Place, asked: ExportAsked): Promise<void> {
  const { app, connection, model } = place;
  const { panel, path } = model;
  const title = `Exporting ${panel.title.label}`;
  const job = new ExportJob();
  const dialog = new Dialog({
    title,
    body: ReactWidget.create(<ExportProgress job={job} />),
    buttons: [Dialog.cancelButton({ label: 'Close' })]
  });
  dialog.addClass('cy-dialog');
  let notice = '';
  void dialog.launch().then(() => {
    notice = job.hasEnded ? '' : Notification.emit(`${title}…`, 'in-progress', { autoClose: false });
  });
  const folder = asked.output.trim();
  const output = folder.startsWith('/') ? folder : `${connection.rootFolder}/${folder}`;
  const tell = (message: string, type: 'success' | 'error') => {
    const autoClose = type === 'success' ? 15_000 : false;
    if (notice) {
      Notification.update({ id: notice, message, type, autoClose });
    } else if (dialog.isDisposed) {
      Notification.emit(message, type, { autoClose });
    }
  };
  try {
    const options = optionsOf(asked);
    const say = (line: string) => job.say(line);
    const made = await connection.api.exportTo({ path, output, to: asked.to.name, options }, say, job.signal);
    if (made.code && !made.proof) {
      throw new Error(made.problem.replace(/^cellyard: /, '') || made.said);
    }
    // What is written is there to be seen, whatever becomes of its schedule.
    void show(app, folder, made).catch(error => tellProblem(words(error)));
    const unscheduled = made.code ? '' : await schedule(connection.api, output, asked);
    const isScheduled = isScheduling(asked) && !made.code && !unscheduled;
    if (isScheduled) {
      job.say('It is scheduled: see the Schedules of the sidebar.');
    }
    const files = `${made.files.length} files written to ${folder}`;
    if (unscheduled) {
      job.heading = `${files}, but not scheduled`;
    } else {
      UNDONE.delete(model);
    }
    job.end(unscheduled, made.proof);
    const written = `${files}${isScheduled ? '; it is scheduled' : ''}.`;
    if (!made.proof && !unscheduled) {
      dialog.reject();
    }
    const said = made.proof ? `${written} ${verdict(made.proof)}` : written;
    if (unscheduled) {
      tell(`${job.heading}: ${unscheduled}`, 'error');
    } else {
      tell(said, made.proof?.holds === false ? 'error' : 'success');
    }
  } catch (error) {
    job.end(words(error), null);
    tell(`The export failed. ${job.problem}`, 'error');
  }
}

/** Make the schedule of what was written, or replace one, if that is wanted. Resolves with why it could not be done. */
async function schedule(api: Api, path: string, asked: ExportAsked): Promise<string> {
  const { expression, scheduleName, replaces: replace } = asked;
  if (!isScheduling(asked)) {
    return '';
  }
  const timezone = expression === null ? null : asked.timezone;
  // What was exported has these values; a schedule that is replaced may have others, which would count.
  const parameters = replace ? Object.fromEntries(changed(asked.given)) : null;
  try {
    await api.schedule({ path, name: scheduleName.trim(), expression, timezone, parameters, replace });
    return '';
  } catch (error) {
    return words(error);
  }
}

/** What is asked for, as `cellyard export` has it. */
function optionsOf({ to, lock, prove, expression, timezone, given }: ExportAsked): ExportWanted['options'] {
  const parameter = changed(given).map(([name, value]) => `${name}=${value}`);
  // Without a lock there is no environment to be made: then it is proven in the present one.
  const bundle = { 'no-lock': !lock, prove: prove && lock, 'prove-here': prove && !lock };
  const times = { schedule: expression, timezone: expression ? timezone : null };
  return { parameter, ...(to.writes_bundle ? bundle : to.keeps_time ? times : {}) };
}

/** The folder in the file browser, and its first file to read. */
async function show(app: JupyterFrontEnd, output: string, made: Exported): Promise<void> {
  const first = ['proof.md', 'README.md', 'pipeline.yaml', ...made.files].find(name =>
    made.files.includes(name)
  );
  // Notebook 7 has its files on pages of their own, which a browser opens only where the user has just clicked.
  if (!output.startsWith('/') && app.commands.hasCommand('filebrowser:open-path')) {
    await app.commands.execute('filebrowser:open-path', { path: output, dontShowBrowser: true });
    if (first) {
      const factory = first.endsWith('.md') ? 'Markdown Preview' : undefined;
      await app.commands.execute('docmanager:open', { path: `${output}/${first}`, factory });
    }
  }
}
