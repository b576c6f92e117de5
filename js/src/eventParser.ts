/** Server-sent events out of pieces of text. Pure. */

import type { EngineEvent } from './wire';

export class EventParser {
  private rest = '';

  constructor(private readonly tell: (event: EngineEvent) => void) {}

  /** Take the next piece; true when the stream has told its end. */
  feed(piece: string): boolean {
    const blocks = (this.rest + piece).split('\n\n');
    this.rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const lines = block.split('\n');
      if (lines.includes('event: end')) {
        return true;
      }
      const data = lines.find(line => line.startsWith('data: '));
      if (data) {
        this.tell(JSON.parse(data.slice(6)) as EngineEvent);
      }
    }
    return false;
  }
}
