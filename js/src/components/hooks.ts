/** What components share: to look again when a model has changed, and once a second while something runs. */

import type { ISignal } from '@lumino/signaling';
import * as React from 'react';

/** Draw again whenever the signal is emitted. */
export function useSignal(...signals: ISignal<unknown, unknown>[]): void {
  const [, look] = React.useReducer((count: number) => count + 1, 0);
  React.useEffect(() => {
    signals.forEach(signal => signal.connect(look));
    return () => signals.forEach(signal => signal.disconnect(look));
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, signals);
}

/** Seconds since 1970; goes on once a second while `running`. */
export function useNow(running: boolean): number {
  const [now, tell] = React.useState(() => Date.now() / 1000);
  React.useEffect(() => {
    if (!running) {
      return;
    }
    tell(Date.now() / 1000);
    const timer = window.setInterval(() => tell(Date.now() / 1000), 1000);
    return () => window.clearInterval(timer);
  }, [running]);
  return now;
}

/** How wide an element is; 0 before that is known. */
export function useWidth(place: React.RefObject<HTMLElement>): number {
  const [width, setWidth] = React.useState(0);
  React.useEffect(() => {
    const watching = new ResizeObserver(([entry]) => setWidth(entry.contentRect.width));
    if (place.current) {
      watching.observe(place.current);
    }
    return () => watching.disconnect();
  }, [place]);
  return width;
}
