/** A step's output messages as outputs of a notebook. */

import type { IOutput } from '@jupyterlab/nbformat';
import type { IOutputAreaModel } from '@jupyterlab/outputarea';

import type { Failure } from './wire';

type Message = Record<string, unknown>;

/** Change the outputs as the message says, as a kernel's own messages would. */
export function applyTo(model: IOutputAreaModel, message: Message): void {
  if (message.type === 'clear_output') {
    model.clear(Boolean(message.wait));
    return;
  }
  if (message.type === 'update_display_data') {
    update(model, message);
    return;
  }
  const output = toOutput(message);
  if (output) {
    model.add(output);
  }
}

/** What the kernel of a step that failed would say; a message that makes no output where it did not. */
export function errorOf(failure: Failure | null): Message {
  return failure
    ? {
        type: 'error',
        ename: failure.type ?? '',
        evalue: failure.message ?? '',
        traceback: failure.traceback ?? []
      }
    : {};
}

/** The output that a message makes; null for one that makes none (a comm, a question). */
function toOutput(message: Message): IOutput | null {
  const bundle = {
    data: message.data as Record<string, string>,
    metadata: (message.metadata ?? {}) as Record<string, string>
  };
  switch (message.type) {
    case 'stream':
      return { output_type: 'stream', name: message.name as string, text: message.text as string };
    case 'display_data':
      return {
        output_type: 'display_data',
        ...bundle,
        transient: (message.transient ?? {}) as Record<string, string>
      };
    case 'execute_result':
      return { output_type: 'execute_result', ...bundle, execution_count: null };
    case 'error':
      return {
        output_type: 'error',
        ename: message.ename as string,
        evalue: message.evalue as string,
        traceback: message.traceback as string[]
      };
    default:
      return null;
  }
}

function update(model: IOutputAreaModel, message: Message): void {
  const wanted = displayOf(message.transient);
  for (let at = 0; wanted && at < model.length; at++) {
    const output = model.get(at).toJSON();
    if (displayOf(output.transient) === wanted) {
      model.set(at, { ...output, data: message.data as Record<string, string> } as IOutput);
    }
  }
}

function displayOf(transient: unknown): string {
  return ((transient ?? {}) as { display_id?: string }).display_id ?? '';
}
