/** The steps as boxes, and what goes from one to the next as lines. */

import * as React from 'react';

import { useAnswer, useWidth } from './hooks';
import type { NotebookStep } from '../notebookModel';
import { BOX, Layout, layOut, Point } from '../layout';
import { sizeOf, StepsProps, timeOf } from './notebookView';
import { StateMark } from './stateMark';

/** Smaller than this nobody can read it: then it is scrolled. */
const SMALLEST = 0.75;

export function GraphView(props: StepsProps): React.ReactElement {
  const { steps } = props;
  const shape = JSON.stringify(steps.map(step => [step.cell, step.after]));
  const { value: layout } = useAnswer(() => {
    const nodes = (JSON.parse(shape) as [string, string[]][]).map(([id, after]) => ({ id, after }));
    return layOut(nodes);
  }, [shape]);
  const arrow = React.useId();
  const place = React.useRef<HTMLDivElement>(null);
  const room = useWidth(place);
  const scale = layout && room ? Math.max(SMALLEST, Math.min(1, room / layout.width)) : 1;
  return (
    <div
      className="cy-graph"
      ref={place}
      role="group"
      aria-label="Steps, from first to last"
      aria-busy={!layout}
    >
      {layout ? drawing(layout, scale, arrow, props) : null}
    </div>
  );
}

/** `arrow` is its own: what a hidden graph defines is not drawn anywhere. */
function drawing(layout: Layout, scale: number, arrow: string, props: StepsProps): React.ReactElement {
  const { steps, isLive, now, chosen, onChoose } = props;
  return (
    <div className="cy-graph-room" style={{ width: layout.width * scale, height: layout.height * scale }}>
      <div
        className="cy-graph-all"
        style={{ width: layout.width, height: layout.height, transform: `scale(${scale})` }}
      >
        <svg width={layout.width} height={layout.height} aria-hidden="true">
          <defs>
            <marker
              id={arrow}
              viewBox="0 0 8 8"
              refX="7"
              refY="4"
              markerWidth="7"
              markerHeight="7"
              orient="auto"
            >
              <path d="M0 0 8 4 0 8z" />
            </marker>
          </defs>
          {layout.edges.map(edge => (
            <path
              key={`${edge.from} ${edge.to}`}
              className="cy-edge"
              d={curve(edge.points)}
              markerEnd={`url(#${arrow})`}
            />
          ))}
        </svg>
        {steps.map(step => {
          const place = layout.nodes.get(step.cell);
          return place ? (
            <button
              key={step.cell}
              className={nodeClass(step, chosen)}
              style={{
                left: place.x - BOX.width / 2,
                top: place.y - BOX.height / 2,
                width: BOX.width,
                height: BOX.height
              }}
              title={[step.name, step.stale].filter(Boolean).join(': ')}
              onClick={() => onChoose(step)}
            >
              <span className="cy-row-top">
                {step.marked ? <StateMark state={step.record?.state} /> : null}
                <span className="cy-row-title">{step.name || 'unnamed'}</span>
                {step.decision ? (
                  <span className="cy-stale" title={step.decision.because}>
                    {step.decision.action === 'reuse' ? 'reuse' : 'run'}
                  </span>
                ) : step.stale ? (
                  <span className="cy-stale">stale</span>
                ) : step.record?.reused ? (
                  <span className="cy-stale" title={`the result of run ${step.record.reused}`}>
                    cached
                  </span>
                ) : null}
              </span>
              <span className="cy-row-below">
                <span className="cy-row-title">{sizeOf(step)}</span>
                <span className="cy-row-side">{timeOf(step, now, isLive)}</span>
              </span>
            </button>
          ) : null;
        })}
      </div>
    </div>
  );
}

function nodeClass(step: NotebookStep, chosen: string): string {
  const names = ['cy-node', `cy-edge-${step.record?.state ?? 'none'}`];
  return [...names, step.marked ? '' : 'cy-plain-cell', step.cell === chosen ? 'cy-active' : ''].join(' ');
}

function curve(points: readonly Point[]): string {
  const [first, ...rest] = points;
  if (!first) {
    return '';
  }
  let path = `M${first.x} ${first.y}`;
  let before = first;
  for (const point of rest) {
    const middle = (before.y + point.y) / 2;
    path += `C${before.x} ${middle} ${point.x} ${middle} ${point.x} ${point.y}`;
    before = point;
  }
  return path;
}
