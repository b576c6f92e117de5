/** The steps of a run along time: waiting thin, running full. Each is a tab of the details below. */

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

export function Timeline({ steps, now, isLive, chosen, onChoose }: TimelineProps): React.ReactElement {
  const end = (step: Step) =>
    step.finished ?? (isLive && !ENDED.has(step.state) ? now : (step.started ?? step.created));
  const from = Math.min(...steps.map(step => step.created));
  const whole = Math.max(0.001, Math.max(...steps.map(end)) - from);
  const percent = (seconds: number) => `${Math.max(0, (seconds / whole) * 100)}%`;
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
    <div
      className="cy-timeline"
      role="tablist"
      aria-label="Steps"
      aria-orientation="vertical"
      onKeyDown={onKeyDown}
    >
      {steps.map(step => {
        const started = step.started ?? end(step);
        const ran = step.started ? end(step) - step.started : null;
        return (
          <button
            key={step.id}
            className="cy-timeline-row"
            role="tab"
            aria-selected={step.id === chosen}
            tabIndex={step.id === chosen ? 0 : -1}
            onClick={() => onChoose(step.id)}
          >
            <StateMark state={step.state} />
            <span className="cy-row-title">{step.name}</span>
            <span className="cy-bar" aria-hidden="true">
              <span
                className="cy-bar-waits"
                style={{ left: percent(step.created - from), width: percent(started - step.created) }}
              />
              <span
                className={`cy-bar-runs cy-fill-${step.state}`}
                style={{ left: percent(started - from), width: percent(ran ?? 0) }}
              />
            </span>
            <span className="cy-row-side">{ran === null ? '' : duration(ran)}</span>
          </button>
        );
      })}
    </div>
  );
}
