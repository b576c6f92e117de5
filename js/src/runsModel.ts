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

/** What runs are looked for: words, each of which is somewhere in what is known of a run, and its state. */
export interface Wanted {
  text: string;
  state: string;
}

/** How far the engine was asked for what is wanted, and what it found. */
interface Search extends Wanted {
  found: Set<number>;
  reached: number | undefined;
  complete: boolean;
  /** Whether the engine has answered, or could not. */
  isAnswered: boolean;
}

export class RunsModel {
  private byId = new Map<number, Run>();
  private sorted: readonly Run[] = [];
  private readonly changes = new Signal<this, void>(this);
  private readonly later: Later;
  private readonly searching: Later;
  private search: Search | null = null;
  private isReading = false;
  /** The oldest run of those that were read in a row; a search may have found older ones. */
  private reached = Infinity;
  loaded = false;
  complete = false;
  error = '';

  constructor(private readonly connection: Connection) {
    this.later = new Later(() => this.readNew(), SOON);
    this.searching = new Later(() => this.more(), TYPING);
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

  /** Whether the engine is still asked for what is wanted. */
  get isSearching(): boolean {
    return (
      this.search !== null && !this.search.isAnswered && !this.complete && this.connection.liveness === 'live'
    );
  }

  /** Whether the engine found this run by the words that are wanted: it looks where the page may not have all. */
  hasFound(run: number): boolean {
    return this.search?.found.has(run) ?? false;
  }

  /** Know of older runs, too: of those that are wanted, or of all. */
  async more(): Promise<void> {
    if (this.complete || this.isReading || this.connection.liveness !== 'live') {
      return;
    }
    this.isReading = true;
    try {
      await (this.search ? this.find(this.search) : this.readOlder());
    } catch {
      // The list stays as far as it goes; the connection tells what is wrong.
      this.changes.emit();
    } finally {
      this.isReading = false;
      if (this.isSearching) {
        // It was asked for meanwhile.
        this.searching.ask();
      }
    }
  }

  /** Know of those that are wanted, however old they are. */
  want({ text, state }: Wanted): void {
    const isAny = !text.trim() && !state;
    const first = { found: new Set<number>(), reached: undefined, complete: false, isAnswered: false };
    this.search = isAny ? null : { text, state, ...first };
    if (this.search) {
      this.searching.ask();
    }
  }

  private async readOlder(): Promise<void> {
    if (this.reached < Infinity) {
      const found = await this.connection.api.runs({ limit: PAGE, before: this.reached });
      this.complete = found.length < PAGE;
      this.reached = found[found.length - 1]?.id ?? this.reached;
      this.add(found);
    }
  }

  private async find(search: Search): Promise<void> {
    const { text, state, reached, complete } = search;
    if (complete) {
      return;
    }
    try {
      const found = await this.connection.api.runs({
        limit: PAGE,
        search: text.trim(),
        state,
        before: reached
      });
      search.complete = found.length < PAGE;
      search.reached = found[found.length - 1]?.id ?? reached;
      found.forEach(run => search.found.add(run.id));
      search.isAnswered = true;
      this.add(found);
    } finally {
      search.isAnswered = true;
    }
  }

  /** Read all that is known anew: more may have happened than is told. A page at a time, as it was read first. */
  private async readAnew(): Promise<void> {
    const last = this.complete ? 0 : this.reached;
    this.complete = false;
    this.reached = Infinity;
    await this.readTo(last, PAGE);
    if (this.search) {
      this.want(this.search);
    }
  }

  /** Read what has come since. */
  private async readNew(): Promise<void> {
    await this.readTo(this.sorted[0]?.id ?? Infinity, FRESH);
  }

  /** Read from the newest run to one that was read before: what lies between must not be left out. */
  private async readTo(last: number, limit: number): Promise<void> {
    let before: number | undefined;
    do {
      before = await this.refresh(limit, before);
    } while (before !== undefined && before > last);
  }

  /** Read the newest runs, or those before one of them. Resolves with the oldest that was read, if there may be older. */
  private async refresh(limit: number, before?: number): Promise<number | undefined> {
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
