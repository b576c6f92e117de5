/** cellyard in JupyterLab: the list of its plugins. */

import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, ReactWidget, WidgetTracker } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ICompletionProviderManager } from '@jupyterlab/completer';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { IRunningSessionManagers } from '@jupyterlab/running';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import * as React from 'react';

import { Api } from './api';
import { CellBadges } from './cellBadges';
import { addCommands, COMMANDS, goTo, goToCell, insertLoad, resizeStep, runBelow, stop } from './commands';
import { NotebookView } from './components/notebookView';
import type { Sizes } from './components/runPage';
import { RunsView } from './components/runsView';
import { SchedulesView } from './components/schedulesView';
import { Sidebar, SidebarTab } from './components/sidebar';
import { StatusItem } from './components/statusItem';
import { WorkersView } from './components/workersView';
import { Connection } from './connection';
import { words } from './format';
import { yardIcon } from './icons';
import { LineCompleter } from './lineCompleter';
import { Notices, tellProblem } from './notices';
import type { NotebookModel, NotebookStep } from './notebookModel';
import { Notebooks } from './notebooks';
import { PlacesModel } from './placesModel';
import { RunsModel } from './runsModel';
import { runningSteps } from './runningSteps';
import { makeRunTab } from './runTabs';
import { SchedulesModel } from './schedulesModel';
import { Cellyard, ICellyard } from './tokens';
import { ENDED, Run, Step } from './wire';

/** Seconds from which a step is a long one, where no setting says otherwise. */
const LONG = 30;
/** Milliseconds that the layout of the page may take to be restored before it is not waited for any more. */
const RESTORING = 8_000;

/** As a tab beside the others; in Notebook 7, where the main area has one document and takes no other, below it. */
function addToShell(shell: JupyterFrontEnd.IShell, tab: MainAreaWidget): void {
  shell.add(tab, 'main');
  if (!tab.parent && [...shell.widgets('main')].length) {
    tab.addClass('cy-run-below');
    shell.add(tab, 'down');
  }
}

const core: JupyterFrontEndPlugin<Cellyard> = {
  id: '@cellyard/labextension:core',
  description: 'The connection to the engine, the commands, and runs as tabs.',
  autoStart: true,
  provides: ICellyard,
  requires: [INotebookTracker, IRenderMimeRegistry],
  optional: [ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    rendermime: IRenderMimeRegistry,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ) => {
    const connection = new Connection(new Api(app.serviceManager.serverSettings));
    const notebooks = new Notebooks(connection, tracker, app.serviceManager);
    const places = new PlacesModel(connection);
    const tabs = new WidgetTracker<MainAreaWidget>({ namespace: 'cellyard-runs' });
    const openNotebook = async (path: string) => {
      await app.commands.execute('docmanager:open', { path: connection.localPath(path) ?? path });
    };
    const reproduce = async (step: Step, run: Run) => {
      await openNotebook(run.notebook);
      await runBelow(tracker, step, `%load_ext kernel_magics\n%steps reproduce ${step.name} ${run.id}`);
    };
    const resize = async (step: Step, run: Run, sizes: Sizes) => {
      await openNotebook(run.notebook);
      await resizeStep(tracker, step, sizes);
    };
    const openRun = (run: number): MainAreaWidget => {
      const open = tabs.find(tab => tab.id === `cellyard-run-${run}`);
      const tab =
        open ??
        makeRunTab(run, {
          connection,
          rendermime,
          openNotebook,
          openRun,
          reproduce,
          resize
        });
      if (!tab.isAttached) {
        addToShell(app.shell, tab);
        void tabs.add(tab);
      }
      app.shell.activateById(tab.id);
      return tab;
    };
    addCommands({ app, connection, notebooks, tracker, openRun });
    void restorer?.restore(tabs, {
      command: COMMANDS.openRun,
      args: tab => ({ run: Number(tab.id.replace('cellyard-run-', '')) }),
      name: tab => tab.id
    });
    [COMMANDS.makeStep, COMMANDS.stopStep, COMMANDS.exportPipeline, COMMANDS.show].forEach(command =>
      palette?.addItem({ command, category: 'cellyard' })
    );
    // What the layout brings back is drawn once, when all is known; but it may never come.
    const late = new Promise(resolve => window.setTimeout(resolve, RESTORING));
    void Promise.race([app.restored, late]).then(() => connection.run());
    return { connection, notebooks, places, openRun };
  }
};

const sidebar: JupyterFrontEndPlugin<void> = {
  id: '@cellyard/labextension:sidebar',
  description: 'The sidebar: steps of the notebook, runs, workers.',
  autoStart: true,
  requires: [ICellyard, INotebookTracker],
  optional: [ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    { connection, notebooks, places, openRun }: Cellyard,
    tracker: INotebookTracker,
    restorer: ILayoutRestorer | null
  ) => {
    const runs = new RunsModel(connection);
    const schedules = new SchedulesModel(connection);
    const tell = (error: unknown) => tellProblem(words(error));
    const runInBackground = async () => {
      const { front } = notebooks;
      if (front) {
        openRun((await connection.api.runPipeline(await front.saved())).id);
      }
    };
    const { commands } = app;
    const actions = {
      runAll: () => void commands.execute(COMMANDS.runAll),
      runFrom: (step: Parameters<typeof goTo>[1]) =>
        void goTo(tracker, step).then(() => commands.execute(COMMANDS.runFrom)),
      stop: (step: Parameters<typeof goTo>[1]) => void stop(connection, step),
      stopAll: () => {
        const live = notebooks.front?.steps.filter(step => step.record && !ENDED.has(step.record.state));
        live?.forEach(step => void stop(connection, step));
        void tracker.currentWidget?.sessionContext.session?.kernel?.interrupt();
      },
      goTo: (step: Parameters<typeof goTo>[1]) => void goTo(tracker, step),
      goToCell: (index: number) => void goToCell(tracker, index),
      edit: (step: Parameters<typeof goTo>[1]) =>
        void goTo(tracker, step).then(() => commands.execute(COMMANDS.makeStep)),
      openRun,
      insertLoad: () => insertLoad(tracker),
      makeStep: () => void commands.execute(COMMANDS.makeStep),
      exportPipeline: () => void commands.execute(COMMANDS.exportPipeline),
      plan: () => void notebooks.front?.makePlan().catch(tell),
      runInBackground: () => void runInBackground().catch(tell)
    };
    const tabs: SidebarTab[] = [
      {
        id: 'notebook',
        label: 'Notebook',
        draw: isLive => <NotebookView notebooks={notebooks} isLive={isLive} actions={actions} />
      },
      {
        id: 'runs',
        label: 'Runs',
        draw: isLive => <RunsView model={runs} isLive={isLive} onOpen={run => openRun(run.id)} />
      },
      {
        id: 'schedules',
        label: 'Schedules',
        draw: isLive => (
          <SchedulesView model={schedules} connection={connection} isLive={isLive} onOpen={openRun} />
        )
      },
      {
        id: 'workers',
        label: 'Workers',
        draw: isLive => (
          <WorkersView
            model={places}
            isLive={isLive}
            onOpen={openRun}
            onCancel={step => void connection.api.cancelStep(step.token)}
          />
        )
      }
    ];
    const panel = ReactWidget.create(<Sidebar connection={connection} tabs={tabs} />);
    panel.id = 'cellyard-sidebar';
    panel.addClass('cy-sidebar-host');
    panel.title.icon = yardIcon;
    panel.title.caption = 'cellyard: steps and runs';
    app.shell.add(panel, 'left', { rank: 350 });
    restorer?.add(panel, 'cellyard-sidebar');
    // What is shown needs an engine; before anybody looks, none is started.
    const seen = new IntersectionObserver(entries => {
      if (entries.some(entry => entry.isIntersecting)) {
        seen.disconnect();
        connection.start();
      }
    });
    seen.observe(panel.node);
  }
};

const cells: JupyterFrontEndPlugin<void> = {
  id: '@cellyard/labextension:cells',
  description: 'Badges under the cells of steps, and output that comes back.',
  autoStart: true,
  requires: [ICellyard],
  activate: (_: JupyterFrontEnd, { connection, notebooks, openRun }: Cellyard) => {
    const actions = { stop: (step: NotebookStep) => void stop(connection, step), openRun };
    const add = (model: NotebookModel) => void new CellBadges(connection, model, actions);
    notebooks.forEach(add);
    notebooks.added.connect((_, model) => add(model));
  }
};

const status: JupyterFrontEndPlugin<void> = {
  id: '@cellyard/labextension:status',
  description: 'How many steps run, in the status bar.',
  autoStart: true,
  requires: [ICellyard],
  optional: [IStatusBar],
  activate: (app: JupyterFrontEnd, { connection, places }: Cellyard, bar: IStatusBar | null) => {
    const onOpen = () => void app.commands.execute(COMMANDS.show);
    const item = ReactWidget.create(<StatusItem connection={connection} model={places} onOpen={onOpen} />);
    bar?.registerStatusItem('cellyard-status', { item, align: 'left', rank: 20 });
  }
};

const running: JupyterFrontEndPlugin<void> = {
  id: '@cellyard/labextension:running',
  description: 'Steps in the panel of what runs.',
  autoStart: true,
  requires: [ICellyard],
  optional: [IRunningSessionManagers],
  activate: (
    _: JupyterFrontEnd,
    { connection, places, openRun }: Cellyard,
    managers: IRunningSessionManagers | null
  ) => {
    managers?.add(runningSteps(connection, places, openRun));
  }
};

const completion: JupyterFrontEndPlugin<void> = {
  id: '@cellyard/labextension:completion',
  description: 'Completion of the %%step line.',
  autoStart: true,
  requires: [ICellyard, ICompletionProviderManager],
  activate: (_: JupyterFrontEnd, { notebooks }: Cellyard, manager: ICompletionProviderManager) => {
    manager.registerProvider(new LineCompleter(notebooks.options));
  }
};

const notices: JupyterFrontEndPlugin<void> = {
  id: '@cellyard/labextension:notices',
  description: 'Says when a long step has ended.',
  autoStart: true,
  requires: [ICellyard],
  optional: [ISettingRegistry],
  activate: (_: JupyterFrontEnd, { connection, openRun }: Cellyard, registry: ISettingRegistry | null) => {
    let threshold = LONG;
    new Notices(connection, openRun, () => threshold);
    void registry?.load(notices.id).then(settings => {
      const read = () => (threshold = settings.get('longStep').composite as number);
      settings.changed.connect(read);
      read();
    });
  }
};

export default [core, sidebar, cells, status, running, completion, notices];
