/**
 * The steps of a run along time: waiting is a line, starting (a pod, an environment, a process) is a frame, running is
 * full. Each is a tab of the details below.
 */

import * as React from 'react';

import { duration } from '../format';
import { ENDED, Step } from '../wire';
import { StateMark } from './stateMark';

export interface TimelineProps {
  steps: readonly Step[];
  now: number;
  isLive: boolean;
  chosen: number | undefined;
  onChoose: (step: number) => void;
}

/** The part of the whole time from which on a part can be told from others. */
const SEEN = 0.01;

export function Timeline({ steps, now, isLive, chosen, onChoose }: TimelineProps): React.ReactElement {
  const all = steps.map(step => ({ step, ...phasesOf(step, now, isLive) }));
  const from = Math.min(...steps.map(step => step.created));
  const whole = Math.max(0.001, Math.max(...all.map(each => each.ended)) - from);
  const part = (begin: number, end: number) => ({
    left: `${Math.max(0, ((begin - from) / whole) * 100)}%`,
    width: `${Math.max(0, ((end - begin) / whole) * 100)}%`
  });
  const onKeyDown = (event: React.KeyboardEvent) => {
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const at = steps.findIndex(step => step.id === chosen);
    if (move && steps[at + move]) {
      event.preventDefault();
      onChoose(steps[at + move].id);
      const tabs = event.currentTarget.querySelectorAll<HTMLElement>('[role=tab]');
      tabs[at + move]?.focus();
    }
  };
  return (
    <div className="cy-times">
      <div
        className="cy-timeline"
        role="tablist"
        aria-label="Steps"
        aria-orientation="vertical"
        onKeyDown={onKeyDown}
      >
        {all.map(({ step, given, started, ended, words }) => (
          <button
            key={step.id}
            className="cy-timeline-row"
            role="tab"
            aria-selected={step.id === chosen}
            tabIndex={step.id === chosen ? 0 : -1}
            title={words}
            onClick={() => onChoose(step.id)}
          >
            <StateMark state={step.state} />
            <span className="cy-row-title">{step.name}</span>
            <span className="cy-bar" aria-hidden="true">
              <span className="cy-bar-waits" style={part(step.created, given)} />
              {started - given > SEEN * whole ? (
                <span className="cy-bar-starts" style={part(given, started)} />
              ) : null}
              {step.started ? (
                <span className={`cy-bar-runs cy-fill-${step.state}`} style={part(started, ended)} />
              ) : null}
            </span>
            <span className="cy-row-side">{step.started ? duration(ended - started) : ''}</span>
            <span className="cy-unseen">{words}</span>
          </button>
        ))}
      </div>
      <p className="cy-bar-key" aria-hidden="true">
        <span className="cy-bar">
          <span className="cy-bar-waits" />
        </span>
        waiting
        <span className="cy-bar">
          <span className="cy-bar-starts" />
        </span>
        starting
        <span className="cy-bar">
          <span className="cy-bar-runs" />
        </span>
        running
      </p>
    </div>
  );
}

/** When a step went from waiting to starting to running to its end, as far as it has; and that in words. */
function phasesOf(step: Step, now: number, isLive: boolean) {
  const ended =
    step.finished ?? (isLive && !ENDED.has(step.state) ? now : (step.started ?? step.given ?? step.created));
  const started = step.started ?? ended;
  const given = Math.min(step.given ?? started, started);
  const words = [
    `waited ${duration(given - step.created)}`,
    step.given ? `took ${duration(started - given)} to start` : '',
    step.started ? `ran ${duration(ended - started)}` : ''
  ];
  return { given, started, ended, words: words.filter(Boolean).join(', ') };
}
