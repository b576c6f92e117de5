/** Completion of the `%%step` line, also while the kernel is busy or not there. */

import type { CompletionHandler, ICompletionContext, ICompletionProvider } from '@jupyterlab/completer';

import { rowOf } from './stepLine';
import type { StepOptions } from './stepOptions';

export class LineCompleter implements ICompletionProvider {
  readonly identifier = 'cellyard:step-line';
  readonly rank = 1100;
  readonly renderer = null;

  constructor(private readonly options: StepOptions) {}

  async isApplicable(context: ICompletionContext): Promise<boolean> {
    const source = context.editor?.model.sharedModel.getSource() ?? '';
    return context.editor?.getCursorPosition().line === rowOf(source);
  }

  async fetch(request: CompletionHandler.IRequest): Promise<CompletionHandler.ICompletionItemsReply> {
    const before = request.text.slice(0, request.offset);
    const word = /\S*$/.exec(before)?.[0] ?? '';
    const previous = /(--\S+)\s+\S*$/.exec(before)?.[1];
    const options = this.options.known;
    const waiting = options.find(option => option.flag === previous && option.metavar !== null);
    const items = waiting
      ? waiting.values.map(value => ({ label: value, type: 'value', documentation: waiting.help }))
      : options.map(option => ({
          label: option.flag,
          insertText: option.metavar === null ? option.flag : `${option.flag} `,
          type: 'option',
          documentation: `${option.help}\n\nFor example: ${option.example}`
        }));
    return {
      start: request.offset - word.length,
      end: request.offset,
      items: items.filter(item => item.label.startsWith(word))
    };
  }
}
