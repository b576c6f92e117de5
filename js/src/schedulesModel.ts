/** SchedulesModel: the schedules as they were known last, also while no engine tells of them. */

import { ISignal, Signal } from '@lumino/signaling';

import type { Connection } from './connection';
import { words } from './format';
import { Later } from './throttle';
import type { Schedule } from './wire';

const SOON = 50;

export class SchedulesModel {
  private readonly changes = new Signal<this, void>(this);
  private readonly later: Later;
  /** Null before they have been told. */
  found: { schedules: Schedule[]; notes: string[] } | null = null;
  error = '';

  constructor(private readonly connection: Connection) {
    this.later = new Later(() => this.refresh(), SOON);
  }

  get changed(): ISignal<this, void> {
    return this.changes;
  }

  look(): void {
    this.later.ask();
  }

  private async refresh(): Promise<void> {
    if (this.connection.liveness !== 'live') {
      return;
    }
    try {
      this.found = await this.connection.api.schedules();
      this.error = '';
    } catch (error) {
      this.error = words(error);
    }
    this.changes.emit();
  }
}
