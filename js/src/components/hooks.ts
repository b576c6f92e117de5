/** What components share: to look again when a model has changed, while something runs, and when an answer comes. */

import type { ISignal } from '@lumino/signaling';
import * as React from 'react';

import { words } from '../format';

/** Draw again whenever the signal is emitted. */
export function useSignal(...signals: ISignal<unknown, unknown>[]): void {
  const [, look] = React.useReducer((count: number) => count + 1, 0);
  React.useEffect(() => {
    signals.forEach(signal => signal.connect(look));
    // What was emitted between the drawing and now was heard by nobody here.
    look();
    return () => signals.forEach(signal => signal.disconnect(look));
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, signals);
}

/** What is read from models, read again whenever a signal is emitted; drawn again only when it is another. */
export function useSeen<T>(read: () => T, ...signals: ISignal<unknown, unknown>[]): T {
  const [seen, setSeen] = React.useState(read);
  React.useEffect(() => {
    const look = () => setSeen(() => read());
    look();
    signals.forEach(signal => signal.connect(look));
    return () => signals.forEach(signal => signal.disconnect(look));
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, signals);
  return seen;
}

/** Whole seconds since 1970; goes on while `running`, everywhere at the same moment. */
export function useNow(running: boolean): number {
  const [now, tell] = React.useState(() => Math.floor(Date.now() / 1000));
  React.useEffect(() => {
    if (!running) {
      return;
    }
    let timer = 0;
    const look = () => {
      const at = Date.now();
      tell(Math.floor(at / 1000));
      timer = window.setTimeout(look, 1000 - (at % 1000));
    };
    look();
    return () => window.clearTimeout(timer);
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

export interface Answer<T> {
  /** What was answered last; null before that, and after an error. */
  value: T | null;
  /** Why there is no answer. */
  error: string;
}

export interface Asking {
  /** Milliseconds that what it is about must rest before it is asked. */
  pause?: number;
  /** Milliseconds after which it is asked again; 0: never. */
  every?: number;
}

/** The answer to what is asked, asked anew whenever something in `about` has changed; nothing is asked of null. */
export function useAnswer<T>(
  ask: (() => Promise<T>) | null,
  about: React.DependencyList,
  { pause = 0, every = 0 }: Asking = {}
): Answer<T> {
  const [answer, setAnswer] = React.useState<Answer<T>>({ value: null, error: '' });
  React.useEffect(() => {
    if (!ask) {
      setAnswer({ value: null, error: '' });
      return;
    }
    let gone = false;
    const look = () =>
      ask().then(
        value => !gone && setAnswer({ value, error: '' }),
        error => !gone && setAnswer({ value: null, error: words(error) })
      );
    const first = window.setTimeout(look, pause);
    const again = every ? window.setInterval(look, every) : 0;
    return () => {
      gone = true;
      window.clearTimeout(first);
      window.clearInterval(again);
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [...about, every]);
  return answer;
}
