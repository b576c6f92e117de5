/** RunsModel: the runs that are known, newest first, kept true by the engine's events. */

import { ISignal, Signal } from '@lumino/signaling';

import type { Connection } from './connection';
import { Later } from './throttle';
import { ENDED, EngineEvent, Run, State } from './wire';

const PAGE = 200;
const FRESH = 50;
/** How soon a change is looked at; many steps a second are one look. */
const SOON = 150;

export class RunsModel {
  private byId = new Map<number, Run>();
  private sorted: readonly Run[] = [];
  private readonly changes = new Signal<this, void>(this);
  private readonly later: Later;
  private limit = PAGE;
  loaded = false;
  complete = false;
  error = '';

  constructor(private readonly connection: Connection) {
    this.later = new Later(() => this.refresh(FRESH), SOON);
    connection.connected.connect(() => void this.refresh(this.limit));
    connection.happened.connect((_, event) => this.apply(event));
  }

  get changed(): ISignal<this, void> {
    return this.changes;
  }

  get runs(): readonly Run[] {
    return this.sorted;
  }

  /** Know of older runs, too. */
  async more(): Promise<void> {
    if (!this.complete) {
      this.limit = Math.min(this.limit * 4, 10_000);
      await this.refresh(this.limit);
    }
  }

  private async refresh(limit: number): Promise<void> {
    try {
      const found = await this.connection.api.runs({ limit });
      if (limit >= this.limit) {
        this.complete = found.length < limit || limit >= 10_000;
      }
      const oldest = found.length ? found[found.length - 1].id : 0;
      // What the engine does not list any more has been removed.
      const kept = [...this.byId.values()].filter(run => run.id < oldest);
      this.byId = new Map([...found, ...kept].map(run => [run.id, run]));
      this.error = '';
      this.loaded = true;
    } catch (error) {
      this.error = error instanceof Error ? error.message : String(error);
    }
    this.settle();
  }

  private apply(event: EngineEvent): void {
    const known = this.byId.get(event.run);
    const state = event.content.state as State | undefined;
    if (known && state && event.step_id === null) {
      // Also a run that is no longer among the newest.
      const finished = ENDED.has(state) ? event.time : null;
      this.byId.set(event.run, { ...known, state, finished });
      this.settle();
    }
    this.later.ask();
  }

  private settle(): void {
    this.sorted = [...this.byId.values()].sort((one, other) => other.id - one.id);
    this.changes.emit();
  }
}
