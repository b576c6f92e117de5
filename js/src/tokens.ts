/** What our plugins share with each other. */

import { Token } from '@lumino/coreutils';

import type { Connection } from './connection';
import type { Notebooks } from './notebooks';
import type { PlacesModel } from './placesModel';

export interface Cellyard {
  connection: Connection;
  notebooks: Notebooks;
  places: PlacesModel;
  openRun: (run: number) => void;
}

export const ICellyard = new Token<Cellyard>(
  '@cellyard/labextension:ICellyard',
  'The connection to the engine, and what is known through it.'
);
