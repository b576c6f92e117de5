/** What a step used over its life, against what it asked for; and which size to ask for. */

import * as React from 'react';

import type { Connection } from '../connection';
import { bytes, duration } from '../format';
import { ENDED, Proposal, Run, Sample, Step } from '../wire';
import { useAnswer } from './hooks';
import type { RunPageProps, Sizes } from './runPage';

const [WIDTH, HEIGHT] = [560, 90];
const AGAIN = 2000;
const MOMENT = 0.2;

interface EvidenceProps {
  step: Step;
  run: Run;
  connection: Connection;
  isLive: boolean;
  onResize: RunPageProps['onResize'];
}

export function Evidence({
  step,
  run,
  connection,
  isLive,
  onResize
}: EvidenceProps): React.ReactElement | null {
  const hasEnded = ENDED.has(step.state);
  const { value: samples } = useAnswer(
    () => connection.api.samples(step.run_id, step.name),
    [connection, step.run_id, step.name, step.attempt, hasEnded],
    { every: isLive && !hasEnded ? AGAIN : 0 }
  );
  const { value: proposals } = useAnswer(
    hasEnded ? () => connection.api.proposals(run.notebook, step.name) : null,
    [connection, run.notebook, step.name, hasEnded]
  );
  const proposal = proposals?.get(step.name);
  const asked = step.resources.memory;
  const shown = samples && samples.samples.length > 1 ? samples : null;
  if (!shown && !proposal?.because) {
    return null;
  }
  return (
    <section className="cy-evidence" aria-label="What it used">
      <h3>What it used</h3>
      {shown ? <Curves samples={shown.samples} limit={shown.limit ?? asked} peak={shown.peak} /> : null}
      {proposal?.because ? (
        <Proposed
          proposal={proposal}
          canUse={connection.localPath(run.notebook) !== null}
          onUse={sizes => onResize(step, run, sizes)}
        />
      ) : null}
    </section>
  );
}

interface ProposedProps {
  proposal: Proposal;
  /** Whether there is a cell to write them into. */
  canUse: boolean;
  onUse: (sizes: Sizes) => void;
}

function Proposed({ proposal, canUse, onUse }: ProposedProps): React.ReactElement {
  const { cpu, memory } = proposal;
  const sizes: [string, string][] = [];
  if (cpu !== null) {
    sizes.push(['--cpu', String(Number(cpu.toFixed(2)))]);
  }
  if (memory !== null) {
    sizes.push(['--memory', bytes(memory).replace(/\s/, '')]);
  }
  return (
    <p className="cy-proposed">
      {sizes.length ? (
        <>
          <span>
            Proposed: <code>{sizes.flat().join(' ')}</code>
          </span>
          {canUse ? (
            <button
              className="jp-Button jp-mod-styled cy-small"
              title="Write these sizes into the line of the step's cell"
              onClick={() => onUse(sizes)}
            >
              Use it
            </button>
          ) : null}
        </>
      ) : null}
      <span className="cy-muted">{proposal.because}</span>
    </p>
  );
}

interface CurvesProps {
  samples: readonly Sample[];
  limit: number | null;
  peak: number;
}

function Curves({ samples, limit, peak }: CurvesProps): React.ReactElement {
  const end = Math.max(0.001, samples[samples.length - 1].seconds);
  const top = Math.max(limit ?? 0, peak, 1);
  const path = (of: (sample: Sample, at: number) => number, most: number) =>
    samples
      .map((sample, at) => {
        const x = (sample.seconds / end) * WIDTH;
        const y = HEIGHT - (Math.max(0, of(sample, at)) / most) * (HEIGHT - 4) - 2;
        return `${at ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`;
      })
      .join('');
  // CPU seconds grow; what is looked at is how many CPUs that was since the sample before.
  const busy = (sample: Sample, at: number) => {
    // Over no less than a moment: two samples in a row may tell of no time at all.
    const before =
      samples.slice(0, at).findLast(each => sample.seconds - each.seconds >= MOMENT) ?? samples[0];
    const passed = sample.seconds - before.seconds;
    return passed > 0 ? (sample.cpu - before.cpu) / Math.max(MOMENT, passed) : 0;
  };
  const most = Math.max(1, ...samples.map(busy));
  const limitAt = limit ? HEIGHT - (limit / top) * (HEIGHT - 4) - 2 : null;
  return (
    <div className="cy-curves">
      <figure>
        <figcaption>
          Memory: peak {bytes(peak)}
          {limit ? ` of ${bytes(limit)}` : ''}, over {duration(end)}
        </figcaption>
        <svg
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          preserveAspectRatio="none"
          role="img"
          aria-label="Memory over time"
        >
          {limitAt === null ? null : (
            <line className="cy-limit" x1="0" x2={WIDTH} y1={limitAt} y2={limitAt} />
          )}
          <path className="cy-curve" d={path(sample => sample.bytes, top)} />
        </svg>
      </figure>
      <figure>
        <figcaption>CPUs in use: at most {Number(most.toFixed(1))}</figcaption>
        <svg
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          preserveAspectRatio="none"
          role="img"
          aria-label="CPUs over time"
        >
          <path className="cy-curve" d={path(busy, most)} />
        </svg>
      </figure>
    </div>
  );
}
