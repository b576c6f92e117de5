/** Connection: one stream of the engine's events per page, and whether what is shown can be called live. */

import { PathExt } from '@jupyterlab/coreutils';
import { ISignal, Signal } from '@lumino/signaling';

import { Api, ApiError } from './api';
import { words } from './format';
import { ENDED, EngineEvent, State, Status } from './wire';

/**
 * `live`: what is shown is true now. `connecting`: it may be soon. `stopped`: no engine runs. `offline`: the
 * Jupyter server does not answer. `refused`: the server does not serve us. `failing`: it does, but the engine's events
 * do not come. Of the last two `reason` says why.
 */
export type Liveness = 'connecting' | 'live' | 'stopped' | 'offline' | 'refused' | 'failing';

const KINDS = 'accepted,state,finished';
const PAUSE = 1_000;
const LONGEST_PAUSE = 5_000;
/** A stream that was open for less broke off at once. */
const BRIEF = 5_000;
/** After so many that broke off at once the next one, too, is expected to. */
const UNSTEADY = 3;
/** Runs that are followed at the same time: a browser has six connections to a server, for all its pages together. */
const MOST_STREAMS = 1;
/** How long a page that nobody sees keeps its connections, which others may need. It catches up when it is seen. */
const HIDDEN = 10_000;

export class Connection {
  private _liveness: Liveness = 'connecting';
  private readonly changes = new Signal<this, Liveness>(this);
  private readonly connections = new Signal<this, void>(this);
  private readonly happenings = new Signal<this, EngineEvent>(this);
  private seq = 0;
  private wanted = false;
  private disposed = false;
  private wake: () => void = () => undefined;
  private abort = new AbortController();
  private hiding = 0;
  private streams = 0;
  /** How many streams in a row broke off at once. */
  private brief = 0;
  reason = '';
  /** Why the engine did not come when it was last asked to; empty where it did, or was not asked. */
  notStarted = '';
  /** When what is shown was last known to be true. */
  seen = Date.now();
  root: string | null = null;

  constructor(readonly api: Api) {
    document.addEventListener('visibilitychange', this.onVisibility);
    window.addEventListener('online', this.onOnline);
    window.addEventListener('offline', this.onOffline);
  }

  get liveness(): Liveness {
    return this._liveness;
  }

  /** Where the server's files are, without a slash at the end. */
  get rootFolder(): string {
    return (this.root ?? '').replace(/\/$/, '');
  }

  /** The path by which the server knows a notebook; null for what is none of its files, such as a schedule's bundle. */
  localPath(path: string): string | null {
    const root = `${this.rootFolder}/`;
    return path.startsWith(root) && PathExt.extname(path) ? path.slice(root.length) : null;
  }

  /** Liveness has changed. */
  get changed(): ISignal<this, Liveness> {
    return this.changes;
  }

  /** The stream has been opened (again): read everything anew. */
  get connected(): ISignal<this, void> {
    return this.connections;
  }

  /** Something happened to a run or step. */
  get happened(): ISignal<this, EngineEvent> {
    return this.happenings;
  }

  /** Connect, and connect again whenever it breaks, until disposed. */
  async run(): Promise<void> {
    let pause = PAUSE;
    while (!this.disposed) {
      if (document.hidden && this.hiding === -1) {
        await this.rest(LONGEST_PAUSE);
        continue;
      }
      try {
        await this.once();
        pause = this.isUnsteady ? LONGEST_PAUSE : PAUSE;
      } catch (error) {
        this.fail(error);
        pause = Math.min(pause * 1.5, LONGEST_PAUSE);
      }
      await this.rest(pause);
    }
  }

  /** Have an engine started where none runs. */
  start(): void {
    // Not for later: what runs now may be stopped on purpose.
    this.wanted = this._liveness !== 'live';
    this.wake();
  }

  dispose(): void {
    this.disposed = true;
    this.abort.abort();
    this.wake();
    document.removeEventListener('visibilitychange', this.onVisibility);
    window.removeEventListener('online', this.onOnline);
    window.removeEventListener('offline', this.onOffline);
    Signal.clearData(this);
  }

  /** Hear a run's events to its end, over connections that break; no more once `signal` is aborted. */
  async followRun(run: number, heard: (event: EngineEvent) => void, signal: AbortSignal): Promise<void> {
    let since = 0;
    let isOver = false;
    const event = (each: EngineEvent) => {
      since = each.seq;
      isOver ||= each.kind === 'state' && each.step_id === null && ENDED.has(each.content.state as State);
      heard(each);
    };
    for (;;) {
      await this.untilLive(signal);
      if (signal.aborted) {
        return;
      }
      // What has no stream of its own is read again and again, until one is free.
      const follow = Number(this.streams < MOST_STREAMS);
      this.streams += follow;
      const reader = { event, signal: AbortSignal.any([signal, this.abort.signal]) };
      try {
        const hasEnded = await this.api.follow(`runs/${run}/events`, { since, follow }, reader);
        if (isOver || (hasEnded && follow)) {
          return;
        }
      } catch {
        // The sidebar says what is wrong; here it is tried again.
      } finally {
        this.streams -= follow;
      }
      await new Promise(resolve => window.setTimeout(resolve, PAUSE));
    }
  }

  private untilLive(signal: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const look = () => {
        if (signal.aborted || this._liveness === 'live') {
          this.changes.disconnect(look);
          signal.removeEventListener('abort', look);
          resolve();
        }
      };
      this.changes.connect(look);
      signal.addEventListener('abort', look);
      look();
    });
  }

  private get isUnsteady(): boolean {
    return this.brief >= UNSTEADY;
  }

  private async once(): Promise<void> {
    const status = await this.find();
    if (!status.engine) {
      this.brief = 0;
      this.move('stopped');
      return;
    }
    // Numbers go on from engine to engine; only a first page begins at what is.
    const since = this.seq || status.engine.seq;
    const { signal } = (this.abort = new AbortController());
    let began = 0;
    let proving = 0;
    const opened = () => {
      began = Date.now();
      this.seq = since;
      if (this.isUnsteady) {
        proving = window.setTimeout(() => this.goLive(), BRIEF);
      } else {
        this.goLive();
      }
    };
    const event = (each: EngineEvent) => this.take(each);
    try {
      await this.api.follow('events', { since, follow: 1, kinds: KINDS }, { event, opened, signal });
    } finally {
      window.clearTimeout(proving);
    }
    this.brief = signal.aborted || Date.now() - began >= BRIEF ? 0 : this.brief + 1;
    this.reason = 'The stream of its events breaks off as soon as it is open.';
    this.move(this.isUnsteady ? 'failing' : 'connecting');
  }

  /** From now on all that happens is heard. */
  private goLive(): void {
    this.notStarted = '';
    this.move('live');
    this.connections.emit();
  }

  private async find(): Promise<Status> {
    const status = await this.api.status();
    this.root = status.root;
    const isToStart = this.wanted && !status.engine;
    this.wanted = false;
    if (!isToStart) {
      return status;
    }
    this.move('connecting');
    this.notStarted = '';
    try {
      return { ...status, engine: await this.api.start() };
    } catch (error) {
      if (error instanceof ApiError && (error.kind === 'Late' || error.status === 503)) {
        this.notStarted = error.message;
        return status;
      }
      throw error;
    }
  }

  private take(event: EngineEvent): void {
    this.seq = Math.max(this.seq, event.seq);
    this.seen = Date.now();
    this.happenings.emit(event);
  }

  private fail(error: unknown): void {
    this.reason = words(error);
    const status = error instanceof ApiError ? error.status : 0;
    if (status === 503) {
      this.move('stopped');
    } else {
      this.move(status === 0 || status >= 502 ? 'offline' : 'refused');
    }
  }

  private move(to: Liveness): void {
    if (this._liveness === 'live') {
      this.seen = Date.now();
    }
    if (to === this._liveness) {
      return;
    }
    this._liveness = to;
    this.changes.emit(to);
  }

  private rest(milliseconds: number): Promise<void> {
    return new Promise(resolve => {
      const timer = window.setTimeout(resolve, milliseconds);
      this.wake = () => {
        window.clearTimeout(timer);
        resolve();
      };
    });
  }

  private readonly onVisibility = () => {
    window.clearTimeout(this.hiding);
    if (document.hidden) {
      this.hiding = window.setTimeout(() => {
        this.hiding = -1;
        this.abort.abort();
      }, HIDDEN);
    } else {
      this.hiding = 0;
      this.wake();
    }
  };

  private readonly onOnline = () => this.wake();

  private readonly onOffline = () => {
    this.reason = 'The network is away.';
    this.abort.abort();
    this.move('offline');
  };
}
