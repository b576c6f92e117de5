/** RunModel: one run with its steps and what they have shown, followed while it goes on. */

import { ISignal, Signal } from '@lumino/signaling';

import type { Connection } from './connection';
import { words } from './format';
import { Later } from './throttle';
import { EngineEvent, Run, Step } from './wire';

const SOON = 100;

export class RunModel {
  private readonly changes = new Signal<this, void>(this);
  private readonly shows = new Signal<this, [number, EngineEvent]>(this);
  private readonly later: Later;
  private readonly abort = new AbortController();
  private readonly events = new Map<number, EngineEvent[]>();
  run: Run | null = null;
  steps: readonly Step[] = [];
  error = '';

  constructor(
    private readonly connection: Connection,
    readonly id: number
  ) {
    this.later = new Later(() => this.refresh(), SOON);
    connection.connected.connect(this.onConnected);
    connection.changed.connect(this.onChanged);
    this.later.ask();
    void connection.followRun(id, event => this.take(event), this.abort.signal).then(() => this.later.ask());
  }

  /** Run or steps have changed. */
  get changed(): ISignal<this, void> {
    return this.changes;
  }

  /** A step has shown something: its id and the event. */
  get shown(): ISignal<this, [number, EngineEvent]> {
    return this.shows;
  }

  /** What a step has shown so far. */
  shownBy(step: number): readonly EngineEvent[] {
    return this.events.get(step) ?? [];
  }

  dispose(): void {
    this.abort.abort();
    this.later.dispose();
    this.connection.connected.disconnect(this.onConnected);
    this.connection.changed.disconnect(this.onChanged);
    Signal.clearData(this);
  }

  private readonly onChanged = () => this.changes.emit();

  private readonly onConnected = () => this.later.ask();

  private async refresh(): Promise<void> {
    try {
      const [run, steps] = await Promise.all([
        this.connection.api.run(this.id),
        this.connection.api.steps(this.id)
      ]);
      this.run = run;
      this.steps = steps;
      this.error = '';
    } catch (error) {
      this.error = words(error);
    }
    this.changes.emit();
  }

  private take(event: EngineEvent): void {
    if (event.kind === 'output' && event.step_id !== null) {
      this.keep(event.step_id, event);
    } else {
      this.later.ask();
    }
  }

  private keep(step: number, event: EngineEvent): void {
    const known = this.events.get(step) ?? [];
    known.push(event);
    this.events.set(step, known);
    this.shows.emit([step, event]);
  }
}
