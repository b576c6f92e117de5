/** The badge under a step's code: what it does or did, and a button to stop it. */

import * as React from 'react';

import type { Connection } from '../connection';
import { bytes, size } from '../format';
import type { NotebookModel } from '../notebookModel';
import { ENDED } from '../wire';
import { useNow, useSeen } from './hooks';
import { timeOf } from './notebookView';
import { StateMark } from './stateMark';

export interface StepBarProps {
  cell: string;
  model: NotebookModel;
  connection: Connection;
  canShow: () => boolean;
  onShow: () => void;
  onStop: () => void;
  onOpen: (run: number) => void;
}

export function StepBar(props: StepBarProps): React.ReactElement | null {
  const { cell, model, connection } = props;
  const step = useSeen(() => model.step(cell), model.changed);
  const canShow = useSeen(props.canShow, model.changed);
  const isLive = useSeen(() => connection.liveness === 'live', connection.changed);
  const record = step?.record;
  const runs = isLive && record !== undefined && !ENDED.has(record.state);
  const now = useNow(runs);
  const link = React.useRef<HTMLButtonElement>(null);
  const isStopped = React.useRef(false);
  React.useEffect(() => {
    if (!runs && isStopped.current) {
      isStopped.current = false;
      // Its button has gone, and the focus with it.
      if (document.activeElement === document.body) {
        link.current?.focus();
      }
    }
  }, [runs]);
  const onStop = () => {
    isStopped.current = true;
    props.onStop();
  };
  if (!step) {
    return null;
  }
  const time = timeOf(step, now, isLive);
  return (
    <div className={`cy-badge${isLive ? '' : ' cy-old'}`} role="group" aria-label={`Step ${step.name}`}>
      {record && !isLive && !ENDED.has(record.state) ? (
        <span className="cy-muted">state unknown: no connection to the engine</span>
      ) : (
        <StateMark state={record?.state} word />
      )}
      {time ? <span className="cy-badge-time">{time}</span> : null}
      <span className="cy-muted cy-badge-size">
        {record ? size(record.resources) : ''}
        {record?.peak_memory ? `, used ${bytes(record.peak_memory)}` : ''}
      </span>
      {record?.reused ? <span className="cy-stale">cached, run {record.reused}</span> : null}
      {step.stale ? (
        <span className="cy-stale" title={step.stale}>
          stale
        </span>
      ) : null}
      <span className="cy-badge-side">
        {record && canShow ? (
          <button className="cy-link" onClick={props.onShow}>
            Show its output
          </button>
        ) : null}
        {runs ? (
          <button className="cy-stop" onClick={onStop} aria-label={`Stop ${step.name}`}>
            Stop
          </button>
        ) : null}
        {record ? (
          <button className="cy-link" ref={link} onClick={() => props.onOpen(record.run_id)}>
            run {record.run_id}
          </button>
        ) : null}
      </span>
    </div>
  );
}
