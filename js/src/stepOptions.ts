/** StepOptions: what a `%%step` line may say, as the engine tells it. */

import type { Api } from './api';
import type { StepOption } from './wire';

export class StepOptions {
  /** Empty before they have been told. */
  known: readonly StepOption[] = [];

  constructor(private readonly api: Api) {}

  /** Ask for them, where they are not known. */
  async all(): Promise<readonly StepOption[]> {
    if (!this.known.length) {
      this.known = await this.api.options();
    }
    return this.known;
  }
}
