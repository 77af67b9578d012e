/** Lets one loop sleep until something changed. A call that comes while it is awake is not lost. */
export class Wakeup {
  private called = false;
  private resolve: (() => void) | undefined;

  call(): void {
    this.called = true;
    this.resolve?.();
  }

  /** Resolves at the next call, at once if there was one since the last wait, or after a while. */
  async wait(atMostMs?: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    if (!this.called) {
      await new Promise<void>((resolve) => {
        this.resolve = resolve;
        if (atMostMs !== undefined) timer = setTimeout(resolve, atMostMs);
      });
    }
    clearTimeout(timer);
    this.resolve = undefined;
    this.called = false;
  }
}
