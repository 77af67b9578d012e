/**
 * Spaces the runs of something that many events ask for: the first at once, the next no sooner than a gap after it, and
 * one for all that asked meanwhile.
 */
export class Throttle {
  private timer: NodeJS.Timeout | undefined;
  private ranAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly run: () => void,
    private readonly gapMs: number,
  ) {}

  call(): void {
    const waitMs = Math.max(0, this.ranAt + this.gapMs - performance.now());
    this.timer ??= setTimeout(() => this.now(), waitMs);
  }

  /** Runs without waiting for the gap's end. */
  now(): void {
    this.stop();
    this.ranAt = performance.now();
    this.run();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}
