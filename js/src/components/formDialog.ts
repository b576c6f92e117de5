/** A dialog with a form, which is not lost before it has been carried out: what is wrong keeps its button from being
 * pressed, and a failure is told in it. */

import { Dialog } from '@jupyterlab/apputils';
import type { Message } from '@lumino/messaging';

import { words } from '../format';

/** How a field says that what is in it cannot be meant. */
const WRONG = '.jp-Dialog-body [aria-invalid="true"]';

interface FormOptions<T> {
  title: string;
  body: Dialog.IBodyWidget<T> & { getValue: () => T };
  /** The word on its button. */
  accept: string;
  focusNodeSelector?: string;
}

export class FormDialog<T> extends Dialog<T> {
  private readonly watching = new MutationObserver(() => this.look());
  private readonly problem = document.createElement('p');
  private readonly value: () => T;
  private isBusy = false;

  constructor(
    { accept, ...options }: FormOptions<T>,
    private readonly apply: (value: T) => Promise<void>
  ) {
    super({ ...options, buttons: [Dialog.cancelButton(), Dialog.okButton({ label: accept })] });
    this.value = () => options.body.getValue();
    this.addClass('cy-dialog');
    this.problem.className = 'cy-error cy-form-problem';
    this.problem.setAttribute('role', 'alert');
  }

  override resolve(index = 1): void {
    if (index === 0) {
      super.resolve(index);
    } else if (!this.isBusy && !this.node.querySelector(WRONG)) {
      void this.carryOut();
    }
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.node.querySelector('.jp-Dialog-footer')?.before(this.problem);
    const what = { subtree: true, childList: true, attributeFilter: ['aria-invalid', 'disabled'] };
    this.watching.observe(this.node, what);
    this.look();
  }

  protected override onAfterDetach(message: Message): void {
    this.watching.disconnect();
    super.onAfterDetach(message);
  }

  private async carryOut(): Promise<void> {
    this.isBusy = true;
    this.problem.textContent = '';
    this.look();
    try {
      await this.apply(this.value());
      super.resolve(1);
    } catch (error) {
      this.problem.textContent = words(error);
    } finally {
      this.isBusy = false;
      this.look();
    }
  }

  private look(): void {
    const accept = this.node.querySelector<HTMLButtonElement>('.jp-Dialog-button.jp-mod-accept');
    const isOff = this.isBusy || this.node.querySelector(WRONG) !== null;
    if (accept && accept.disabled !== isOff) {
      accept.disabled = isOff;
    }
  }
}
