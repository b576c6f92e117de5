/** A state as a mark that does without colour: each has a form of its own, and its word. */

import * as React from 'react';

import { stateWord } from '../format';
import type { State } from '../wire';

const FORMS: Record<State, React.ReactElement> = {
  queued: <path d="M8 4.5V8l2.5 1.5M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2Z" />,
  running: <path className="cy-turns" d="M8 2.2A5.8 5.8 0 1 1 2.2 8" />,
  succeeded: <path d="m3 8.5 3.3 3.3L13 5" />,
  failed: <path d="m4 4 8 8m0-8-8 8" />,
  cancelled: <path d="M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2ZM4 12l8-8" />,
  lost: <path d="M5.8 6.2a2.2 2.2 0 1 1 3 2.1c-.6.3-.8.6-.8 1.3m0 2.2v.2" />
};
const NONE = <path d="M4.5 8h7" />;

export interface StateMarkProps {
  state: State | undefined;
  /** Whether the word stands beside the mark; otherwise only screen readers hear it. */
  word?: boolean;
}

export function StateMark({ state, word }: StateMarkProps): React.ReactElement {
  return (
    <span className={`cy-state cy-state-${state ?? 'none'}`}>
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true" focusable="false">
        {state ? FORMS[state] : NONE}
      </svg>
      <span className={word ? 'cy-state-word' : 'cy-unseen'}>{stateWord(state)}</span>
    </span>
  );
}
