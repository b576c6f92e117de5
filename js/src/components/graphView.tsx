/** The steps as boxes, and what goes from one to the next as lines. */

import * as React from 'react';

import { size } from '../format';
import { BOX, Layout, layOut, Point } from '../layout';
import { StepsProps, timeOf } from './notebookView';
import { StateMark } from './stateMark';

export function GraphView({ steps, isLive, now, chosen, onChoose }: StepsProps): React.ReactElement {
  const shape = JSON.stringify(steps.map(step => [step.cell, step.after]));
  const [layout, setLayout] = React.useState<Layout | null>(null);
  React.useEffect(() => {
    let gone = false;
    const nodes = (JSON.parse(shape) as [string, string[]][]).map(([id, after]) => ({ id, after }));
    void layOut(nodes).then(found => !gone && setLayout(found));
    return () => {
      gone = true;
    };
  }, [shape]);
  if (!layout) {
    return <div className="cy-graph" aria-busy="true" />;
  }
  return (
    <div className="cy-graph" role="group" aria-label="Steps, from first to last">
      <div className="cy-graph-all" style={{ width: layout.width, height: layout.height }}>
        <svg width={layout.width} height={layout.height} aria-hidden="true">
          <defs>
            <marker id="cy-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
              <path d="M0 0 8 4 0 8z" />
            </marker>
          </defs>
          {layout.edges.map(edge => (
            <path key={`${edge.from} ${edge.to}`} className="cy-edge" d={curve(edge.points)} markerEnd="url(#cy-arrow)" />
          ))}
        </svg>
        {steps.map(step => {
          const place = layout.nodes.get(step.cell);
          return place ? (
            <button
              key={step.cell}
              className={`cy-node cy-edge-${step.record?.state ?? 'none'}${step.cell === chosen ? ' cy-active' : ''}`}
              style={{
                left: place.x - BOX.width / 2,
                top: place.y - BOX.height / 2,
                width: BOX.width,
                height: BOX.height
              }}
              title={step.stale || undefined}
              onClick={() => onChoose(step)}
            >
              <span className="cy-row-top">
                <StateMark state={step.record?.state} />
                <span className="cy-row-title">{step.name || 'unnamed'}</span>
                {step.stale ? <span className="cy-stale">stale</span> : null}
              </span>
              <span className="cy-row-below">
                <span className="cy-row-title">{step.record ? size(step.record.resources) : 'not run yet'}</span>
                <span className="cy-row-side">{timeOf(step, now, isLive)}</span>
              </span>
            </button>
          ) : null;
        })}
      </div>
    </div>
  );
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
