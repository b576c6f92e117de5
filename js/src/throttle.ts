/** Later: a call that is made once, however often it is asked for meanwhile. */
export class Later {
  private timer = 0;
  private running = false;
  private again = false;

  constructor(
    private readonly work: () => Promise<void> | void,
    private readonly wait: number
  ) {}

  /** Have it done soon; while it is being done, once more afterwards. */
  ask(): void {
    if (this.running) {
      this.again = true;
    } else if (!this.timer) {
      this.timer = window.setTimeout(() => void this.now(), this.wait);
    }
  }

  /** Forget what was asked for. */
  dispose(): void {
    window.clearTimeout(this.timer);
    this.again = false;
  }

  private async now(): Promise<void> {
    this.timer = 0;
    this.running = true;
    try {
      await this.work();
    } finally {
      this.running = false;
      if (this.again) {
        this.again = false;
        this.ask();
      }
    }
  }
}
