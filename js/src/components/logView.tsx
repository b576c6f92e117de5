/** What a step shows, drawn by JupyterLab's own renderers while it comes, and as text that can be searched. */

import { OutputArea, OutputAreaModel, SimplifiedOutputArea } from '@jupyterlab/outputarea';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import * as React from 'react';

import { uncoloured } from '../format';
import { applyTo } from '../outputs';
import type { RunModel } from '../runModel';
import type { EngineEvent, Step } from '../wire';
import { WidgetHost } from './widgetHost';

export interface LogViewProps {
  model: RunModel;
  step: Step;
  rendermime: IRenderMimeRegistry;
  isLive: boolean;
}

export function LogView({ model, step, rendermime, isLive }: LogViewProps): React.ReactElement {
  const [text, setText] = React.useState('');
  const [count, setCount] = React.useState(() => model.shownBy(step.id).length);
  React.useEffect(() => {
    const look = () => setCount(model.shownBy(step.id).length);
    model.shown.connect(look);
    look();
    return () => {
      model.shown.disconnect(look);
    };
  }, [model, step.id]);
  const make = React.useCallback(() => outputArea(model, step.id, rendermime), [model, step.id, rendermime]);
  const runs = step.state === 'running' || step.state === 'queued';
  return (
    <section className="cy-log" aria-label="Output">
      <div className="cy-log-head">
        <h3>Output</h3>
        <input
          className="jp-mod-styled cy-input"
          type="search"
          placeholder="Search the output"
          aria-label="Search the output"
          value={text}
          onChange={event => setText(event.target.value)}
        />
      </div>
      {text ? (
        <Found lines={linesWith(model.shownBy(step.id), text)} text={text} />
      ) : (
        <WidgetHost make={make} />
      )}
      {count === 0 ? (
        <p className="cy-muted">{runs && isLive ? 'It has shown nothing yet.' : 'It showed nothing.'}</p>
      ) : null}
    </section>
  );
}

function Found({ lines, text }: { lines: [number, string][]; text: string }): React.ReactElement {
  if (!lines.length) {
    return (
      <p className="cy-muted" role="status">
        No line has “{text}”.
      </p>
    );
  }
  return (
    <>
      <p className="cy-muted" role="status">
        {lines.length === 1 ? 'One line' : `${lines.length} lines`}
      </p>
      <ol className="cy-found">
        {lines.slice(0, 1000).map(([number, line]) => (
          <li key={number} value={number}>
            {line}
          </li>
        ))}
      </ol>
    </>
  );
}

/** What the step has shown, line by line, where it has the text. */
function linesWith(events: readonly EngineEvent[], text: string): [number, string][] {
  const wanted = text.toLowerCase();
  const shown = events.reduce((before, { content }) => withText(before, content), '');
  return shown
    .split('\n')
    .map((line, at): [number, string] => [at + 1, line])
    .filter(([, line]) => line.toLowerCase().includes(wanted));
}

/** What was shown before and the text of an output; each but a stream begins and ends a line. */
function withText(before: string, message: Record<string, unknown>): string {
  if (message.type === 'stream') {
    return before + uncoloured(String(message.text));
  }
  const own = message.type === 'error' ? message.traceback : plainText(message.data);
  const text = uncoloured(Array.isArray(own) ? own.join('\n') : String(own ?? ''));
  return text ? `${before}${before && !before.endsWith('\n') ? '\n' : ''}${text}\n` : before;
}

/** Of what has no words of its own, as HTML has none, those that are seen. */
function plainText(data: unknown): unknown {
  const { 'text/plain': plain, 'text/html': html } = (data ?? {}) as Record<string, string | undefined>;
  const isNone = plain === undefined || /^<[\w.]+ object>$/.test(plain);
  return html && isNone ? new DOMParser().parseFromString(html, 'text/html').body.textContent : plain;
}

class FollowingArea extends SimplifiedOutputArea {
  constructor(
    options: OutputArea.IOptions,
    private readonly run: RunModel,
    private readonly step: number
  ) {
    super(options);
    run.shownBy(step).forEach(event => applyTo(this.model, event.content));
    run.shown.connect(this.onShown, this);
  }

  override dispose(): void {
    this.run.shown.disconnect(this.onShown, this);
    const model = this.model;
    super.dispose();
    model.dispose();
  }

  private onShown(_: RunModel, [step, event]: [number, EngineEvent]): void {
    if (step === this.step) {
      applyTo(this.model, event.content);
    }
  }
}

function outputArea(run: RunModel, step: number, rendermime: IRenderMimeRegistry): SimplifiedOutputArea {
  const model = new OutputAreaModel({ trusted: true });
  return new FollowingArea({ model, rendermime: rendermime.clone(), maxNumberOutputs: 500 }, run, step);
}
