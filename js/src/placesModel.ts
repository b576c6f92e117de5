/** PlacesModel: where steps run, and which do now. */

import { ISignal, Signal } from '@lumino/signaling';

import type { Connection } from './connection';
import { Later } from './throttle';
import type { LiveStep, Place } from './wire';

const SOON = 150;

export class PlacesModel {
  private readonly changes = new Signal<this, void>(this);
  private readonly later: Later;
  places: readonly Place[] = [];
  loaded = false;

  constructor(private readonly connection: Connection) {
    this.later = new Later(() => this.refresh(), SOON);
    connection.connected.connect(() => this.later.ask());
    connection.happened.connect(() => this.later.ask());
    this.later.ask();
    connection.changed.connect((_, liveness) => {
      if (liveness !== 'live') {
        // Whether they still run is not known.
        this.places = [];
        this.changes.emit();
      }
    });
  }

  get changed(): ISignal<this, void> {
    return this.changes;
  }

  /** The steps that wait or run, everywhere. */
  get live(): LiveStep[] {
    return this.places.flatMap(place => place.steps);
  }

  /** Workers come and go without an event; whoever shows them asks now and then. */
  look(): void {
    this.later.ask();
  }

  private async refresh(): Promise<void> {
    if (this.connection.liveness !== 'live') {
      return;
    }
    try {
      this.places = await this.connection.api.places();
      this.loaded = true;
    } catch {
      // The stream tells the same, with the reason.
      this.places = [];
    }
    this.changes.emit();
  }
}
