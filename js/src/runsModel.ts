/** RunsModel: the runs that are known, newest first, kept true by the engine's events. */

import { ISignal, Signal } from '@lumino/signaling';

import type { Connection } from './connection';
import { words } from './format';
import { Later } from './throttle';
import { ENDED, EngineEvent, Run, State } from './wire';

const PAGE = 500;
const FRESH = 50;
/** How soon a change is looked at; many steps a second are one look. */
const SOON = 150;
const TYPING = 300;

export class RunsModel {
  private byId = new Map<number, Run>();
  private sorted: readonly Run[] = [];
  private readonly changes = new Signal<this, void>(this);
  private readonly later: Later;
  private readonly searching: Later;
  private text = '';
  private isReading = false;
  /** The oldest run of those that were read in a row; a search may have found older ones. */
  private reached = Infinity;
  loaded = false;
  complete = false;
  error = '';

  constructor(private readonly connection: Connection) {
    this.later = new Later(async () => void (await this.refresh()), SOON);
    this.searching = new Later(() => this.find(), TYPING);
    connection.connected.connect(() => void this.readAnew());
    connection.happened.connect((_, event) => this.apply(event));
    if (connection.liveness === 'live') {
      void this.readAnew();
    }
  }

  get changed(): ISignal<this, void> {
    return this.changes;
  }

  get runs(): readonly Run[] {
    return this.sorted;
  }

  /** Know of older runs, too. */
  async more(): Promise<void> {
    if (this.complete || this.isReading || this.reached === Infinity) {
      return;
    }
    this.isReading = true;
    try {
      const found = await this.connection.api.runs({ limit: PAGE, before: this.reached });
      this.complete = found.length < PAGE;
      this.reached = found[found.length - 1]?.id ?? this.reached;
      this.add(found);
    } catch {
      // The list stays as far as it goes; the connection tells what is wrong.
    } finally {
      this.isReading = false;
    }
  }

  /** Know of those that have this text somewhere, however old they are. */
  search(text: string): void {
    this.text = text;
    if (text && !this.complete) {
      this.searching.ask();
    }
  }

  private async find(): Promise<void> {
    if (this.text && this.connection.liveness === 'live') {
      try {
        this.add(await this.connection.api.runs({ limit: PAGE, search: this.text }));
      } catch {
        // What is known is searched all the same.
      }
    }
  }

  /** Read all that is known anew: more may have happened than is told. A page at a time, as it was read first. */
  private async readAnew(): Promise<void> {
    const last = this.reached;
    let before: number | undefined;
    do {
      before = await this.refresh(PAGE, before);
    } while (before !== undefined && before > last);
  }

  /** Read the newest runs, or those before one of them. Resolves with the oldest that was read, if there may be older. */
  private async refresh(limit = FRESH, before?: number): Promise<number | undefined> {
    try {
      const found = await this.connection.api.runs({ limit, before });
      const isAll = found.length < limit;
      this.complete ||= isAll;
      const oldest = isAll ? 0 : found[found.length - 1].id;
      this.reached = Math.min(this.reached, oldest || Infinity);
      // What the engine does not list any more has been removed.
      this.byId = new Map([...this.byId].filter(([id]) => id < oldest || id >= (before ?? Infinity)));
      this.error = '';
      this.loaded = true;
      this.add(found);
      return oldest || undefined;
    } catch (error) {
      this.error = words(error);
      this.changes.emit();
      return undefined;
    }
  }

  private apply(event: EngineEvent): void {
    const known = this.byId.get(event.run);
    const state = event.content.state as State | undefined;
    if (known && state && event.step_id === null) {
      // Also a run that is no longer among the newest.
      this.add([{ ...known, state, finished: ENDED.has(state) ? event.time : null }]);
    }
    this.later.ask();
  }

  private add(found: readonly Run[]): void {
    found.forEach(run => this.byId.set(run.id, run));
    this.sorted = [...this.byId.values()].sort((one, other) => other.id - one.id);
    this.changes.emit();
  }
}
