/** Runs as tabs of the main area. */

import { MainAreaWidget, ReactWidget } from '@jupyterlab/apputils';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import * as React from 'react';

import { Guard } from './components/guard';
import { RunPage, Sizes } from './components/runPage';
import type { Connection } from './connection';
import { words } from './format';
import { yardIcon } from './icons';
import { tellProblem } from './notices';
import { RunModel } from './runModel';
import type { Run, Step } from './wire';

class RunTab extends ReactWidget {
  private readonly model: RunModel;

  constructor(
    private readonly connection: Connection,
    readonly run: number,
    private readonly rendermime: IRenderMimeRegistry,
    private readonly openNotebook: (path: string) => Promise<void>,
    private readonly openRun: (run: number) => void,
    private readonly reproduce: (step: Step, run: Run) => Promise<void>,
    private readonly resize: RunTabOptions['resize']
  ) {
    super();
    this.addClass('cy-run-tab');
    this.model = new RunModel(connection, run);
  }

  override dispose(): void {
    this.model.dispose();
    super.dispose();
  }

  private async resume(run: number): Promise<void> {
    this.openRun((await this.connection.api.resume(run)).id);
  }

  protected override render(): React.ReactElement {
    return (
      <Guard>
        {() => (
          <RunPage
            model={this.model}
            connection={this.connection}
            rendermime={this.rendermime}
            onCancel={run => told(this.connection.api.cancelRun(run))}
            onResume={run => told(this.resume(run))}
            onOpenNotebook={path => told(this.openNotebook(path))}
            onReproduce={(step, run) => told(this.reproduce(step, run))}
            onResize={(step, run, sizes) => told(this.resize(step, run, sizes))}
          />
        )}
      </Guard>
    );
  }
}

export interface RunTabOptions {
  connection: Connection;
  rendermime: IRenderMimeRegistry;
  openNotebook: (path: string) => Promise<void>;
  openRun: (run: number) => void;
  reproduce: (step: Step, run: Run) => Promise<void>;
  resize: (step: Step, run: Run, sizes: Sizes) => Promise<void>;
}

/** What cannot be done is said. */
function told(work: Promise<void>): void {
  work.catch(error => tellProblem(words(error)));
}

export function makeRunTab(run: number, options: RunTabOptions): MainAreaWidget {
  const content = new RunTab(
    options.connection,
    run,
    options.rendermime,
    options.openNotebook,
    options.openRun,
    options.reproduce,
    options.resize
  );
  const tab = new MainAreaWidget({ content });
  tab.id = `cellyard-run-${run}`;
  tab.title.label = `Run ${run}`;
  tab.title.icon = yardIcon;
  tab.title.closable = true;
  tab.toolbar.hide();
  return tab;
}
