/** How far an export has come, what it has said, and at last the verdict of its proof. */

import { ISignal, Signal } from '@lumino/signaling';
import * as React from 'react';

import type { Proof } from '../wire';
import { useSignal } from './hooks';
import { StateMark } from './stateMark';

const HELD: ReadonlySet<string> = new Set(['identical', 'equal', 'close']);
/** More rows of values than this help nobody. */
const MOST = 200;

/** An export that goes on or has ended; `problem`: it failed. */
export class ExportJob {
  private readonly changes = new Signal<this, void>(this);
  private readonly abort = new AbortController();
  lines: readonly string[] = [];
  hasEnded = false;
  problem = '';
  /** What has gone wrong, in short. */
  heading = 'The export failed';
  proof: Proof | null = null;

  get changed(): ISignal<this, void> {
    return this.changes;
  }

  get signal(): AbortSignal {
    return this.abort.signal;
  }

  say(line: string): void {
    this.lines = [...this.lines, line];
    this.changes.emit();
  }

  end(problem: string, proof: Proof | null): void {
    this.hasEnded = true;
    this.problem = this.signal.aborted ? 'It was stopped.' : problem;
    this.proof = proof;
    this.changes.emit();
  }

  stop(): void {
    this.abort.abort();
  }
}

export function ExportProgress({ job }: { job: ExportJob }): React.ReactElement {
  useSignal(job.changed);
  const end = React.useRef<HTMLLIElement>(null);
  React.useEffect(() => {
    end.current?.scrollIntoView({ block: 'nearest' });
  }, [job.lines.length]);
  return (
    <div className="cy-form">
      <div
        className="cy-said"
        role="log"
        aria-label="What it has said"
        tabIndex={0}
        hidden={job.hasEnded && !job.lines.length}
      >
        <ol className="cy-plain">
          {job.lines.map((line, at) => {
            const isLast = at === job.lines.length - 1;
            return (
              <li
                key={at}
                ref={isLast ? end : undefined}
                className={line.startsWith(' ') ? 'cy-said-below' : ''}
              >
                {line.trim()}
              </li>
            );
          })}
        </ol>
      </div>
      {job.hasEnded ? (
        <Outcome job={job} />
      ) : (
        <div className="cy-row-top">
          <StateMark state="running" word />
          <span className="cy-muted">It goes on when this is closed, and tells you when it has ended.</span>
          <span className="cy-row-side">
            <button className="jp-Button jp-mod-styled jp-mod-warn cy-small" onClick={() => job.stop()}>
              Stop
            </button>
          </span>
        </div>
      )}
    </div>
  );
}

function Outcome({ job: { problem, heading, proof } }: { job: ExportJob }): React.ReactElement {
  if (problem) {
    return (
      <div className="cy-cause" role="alert">
        <strong>{heading}</strong>
        <pre tabIndex={0}>{problem}</pre>
      </div>
    );
  }
  return proof ? <Verdict proof={proof} /> : <StateMark state="succeeded" word />;
}

function Verdict({ proof }: { proof: Proof }): React.ReactElement {
  // What differs is what one looks for.
  const rows = [...proof.comparisons].sort((one, other) => Number(holds(one)) - Number(holds(other)));
  return (
    <section className="cy-verdict" aria-label="Verdict" role="status">
      <p className="cy-row-top">
        <StateMark state={proof.holds ? 'succeeded' : 'failed'} />
        <strong>{verdict(proof)}</strong>
      </p>
      {rows.length ? (
        <div className="cy-verdict-rows" tabIndex={0} role="group" aria-label="Values compared">
          <table className="cy-table">
            <thead>
              <tr>
                <th scope="col">Step</th>
                <th scope="col">Value</th>
                <th scope="col">Verdict</th>
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, MOST).map(each => (
                <tr key={`${each.step} ${each.role} ${each.name}`}>
                  <td>{each.step}</td>
                  <td>
                    {each.role} <code>{each.name}</code>
                  </td>
                  <td className={holds(each) ? '' : 'cy-error'}>
                    {each.verdict} {each.detail}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : null}
    </section>
  );
}

function holds({ verdict }: { verdict: string }): boolean {
  return HELD.has(verdict);
}

/** What the proof has shown, in a sentence. */
export function verdict(proof: Proof): string {
  const all = proof.comparisons.length;
  const other = proof.comparisons.filter(each => !holds(each)).length;
  if (proof.problem) {
    return `It could not be proven: ${proof.problem}`;
  }
  return proof.holds
    ? `Proven: all ${all} values are those of the notebook.`
    : `Not proven: ${other} of ${all} values are not those of the notebook.`;
}
