/** Making a table takes at most this share of the time. */
const BUSY_SHARE = 0.2;

/** Runs `refresh` soon after something changed: once for all changes that arrive close together. */
export class Refresher {
  private timer: NodeJS.Timeout | undefined;
  private lastTookMs = 0;

  /** @param collectMs how long to wait for further changes */
  constructor(
    private readonly collectMs: number,
    private readonly refresh: () => void,
  ) {}

  get isPending(): boolean {
    return this.timer !== undefined;
  }

  schedule(collectMs = this.collectMs): void {
    this.timer ??= setTimeout(() => this.refreshNow(), Math.max(collectMs, this.lastTookMs / BUSY_SHARE));
  }

  refreshNow(): void {
    this.stop();
    const began = performance.now();
    this.refresh();
    this.lastTookMs = performance.now() - began;
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}
