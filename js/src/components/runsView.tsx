/** The runs, newest first, with a search and a filter. */

import * as React from 'react';

import { duration, moment, ranFor, sourceName } from '../format';
import type { RunsModel } from '../runsModel';
import { ENDED, Run, State } from '../wire';
import { useNow, useSignal } from './hooks';
import { StateMark } from './stateMark';
import { VirtualList } from './virtualList';

const ROW = 46;
const STATES: State[] = ['running', 'queued', 'succeeded', 'failed', 'cancelled', 'lost'];

export interface RunsViewProps {
  model: RunsModel;
  isLive: boolean;
  onOpen: (run: Run) => void;
}

export function RunsView({ model, isLive, onOpen }: RunsViewProps): React.ReactElement {
  useSignal(model.changed);
  const [text, setText] = React.useState('');
  const [state, setState] = React.useState('');
  const want = (text: string, state: string) => {
    setText(text);
    setState(state);
    model.want({ text, state });
  };
  const wanted = React.useDeferredValue(text);
  const known = model.runs;
  const runs = React.useMemo(() => {
    const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
    return words.length || state
      ? known.filter(
          run => (!state || run.state === state) && (matches(run, words) || model.hasFound(run.id))
        )
      : known;
  }, [known, model, state, wanted]);
  const now = useNow(isLive && runs.some(run => !ENDED.has(run.state)));
  const row = React.useCallback((run: Run) => <RunRow run={run} now={now} isLive={isLive} />, [now, isLive]);
  if (!model.loaded) {
    return <Loading error={model.error} />;
  }
  return (
    <div className="cy-runs">
      <div className="cy-search" role="search">
        <input
          className="jp-mod-styled cy-input"
          type="search"
          placeholder="Search runs"
          aria-label="Search runs"
          value={text}
          onChange={event => want(event.target.value, state)}
        />
        <select
          className="cy-select"
          aria-label="Only runs in state"
          value={state}
          onChange={event => want(text, event.target.value)}
        >
          <option value="">All states</option>
          {STATES.map(each => (
            <option key={each} value={each}>
              {each === 'queued' ? 'waiting' : each}
            </option>
          ))}
        </select>
      </div>
      {runs.length ? (
        <VirtualList
          label="Runs"
          items={runs}
          rowHeight={ROW}
          keyOf={idOf}
          row={row}
          onOpen={onOpen}
          onEnd={() => void model.more()}
        />
      ) : (
        <p className="cy-empty">
          {model.isSearching
            ? 'Searching…'
            : model.runs.length
              ? 'No run fits the search.'
              : 'Nothing has run yet. Start a cell with %%step, run it, and it appears here.'}
        </p>
      )}
    </div>
  );
}

function idOf(run: Run): number {
  return run.id;
}

interface RunRowProps {
  run: Run;
  now: number;
  isLive: boolean;
}

const RunRow = React.memo(({ run, now, isLive }: RunRowProps): React.ReactElement => {
  const seconds = ranFor(run, now, isLive);
  return (
    <>
      <span className="cy-row-top">
        <StateMark state={run.state} />
        <span className="cy-row-title">{titleOf(run)}</span>
        <span className="cy-row-side">{seconds === null ? '' : duration(seconds)}</span>
      </span>
      <span className="cy-row-below">
        <span className="cy-row-title">{[sourceName(run), ...run.tags.map(tag => `#${tag}`)].join(' ')}</span>
        <span className="cy-row-side">{`${run.id} · ${moment(run.created)}`}</span>
      </span>
    </>
  );
});
RunRow.displayName = 'RunRow';

export function Loading({ error }: { error: string }): React.ReactElement {
  return error ? (
    <p className="cy-empty" role="alert">
      {error}
    </p>
  ) : (
    <div className="cy-skeleton" role="status" aria-label="Loading">
      <span />
      <span />
      <span />
    </div>
  );
}

/** What a run is called: its step, or how many it had. */
export function titleOf(run: Run): string {
  const steps = run.steps ?? [];
  if (run.name) {
    return run.name;
  }
  if (run.kind === 'cell' || steps.length === 1) {
    return steps[0]?.name ?? `run ${run.id}`;
  }
  return steps.length ? `whole notebook, ${steps.length} steps` : 'whole notebook';
}

/** Whether a run has all words somewhere. */
function matches(run: Run, words: readonly string[]): boolean {
  return words.every(word => aboutOf(run).includes(word));
}

const ABOUT = new WeakMap<Run, string>();

/** All that a run can be found by. Made once: there may be ten thousand of them. */
function aboutOf(run: Run): string {
  let about = ABOUT.get(run);
  if (about === undefined) {
    const names = (run.steps ?? []).map(step => step.name);
    const said = [...Object.entries(run.parameters), ...Object.entries(run.metrics)].flat();
    const { id, name, owner, notebook, state, commit, tags } = run;
    about = [id, name, owner, notebook, state, commit, ...tags, ...names, ...said].join(' ').toLowerCase();
    ABOUT.set(run, about);
  }
  return about;
}
