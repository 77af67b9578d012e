import type { Logger } from "pino";

interface Started {
  name: string;
  stop(signal: AbortSignal): unknown;
}

/** What was started, so that it is stopped in reverse order, under one deadline. */
export class StopStack {
  private readonly started: Started[] = [];
  private stopping: Promise<void> | undefined;

  constructor(private readonly log: Logger) {}

  /**
   * @param stop is given a signal that is aborted at the deadline; what it throws is logged, and the rest is stopped
   * all the same
   */
  push(name: string, stop: (signal: AbortSignal) => unknown): void {
    this.started.push({ name, stop });
  }

  /** Calls `work` after a delay and then periodically, never twice at once, until stopped. A failure is logged. */
  repeat(name: string, everyMs: number, work: () => void | Promise<void>, delayMs = everyMs): void {
    let busy = false;
    const run = async () => {
      if (busy) return;
      busy = true;
      try {
        await work();
      } catch (err) {
        this.log.warn({ err, name }, "periodic work failed");
      }
      busy = false;
    };
    const first = setTimeout(run, delayMs);
    const timer = setInterval(run, everyMs);
    this.push(name, () => {
      clearTimeout(first);
      clearInterval(timer);
    });
  }

  /** Stops everything, once, however often it is called. */
  stopAll(deadlineMs: number): Promise<void> {
    this.stopping ??= this.unwind(AbortSignal.timeout(deadlineMs));
    return this.stopping;
  }

  /** Calls every stop. After the deadline it waits for none of them. */
  private async unwind(deadline: AbortSignal): Promise<void> {
    const late = new Promise<void>((resolve) => deadline.addEventListener("abort", () => resolve(), { once: true }));
    for (let next = this.started.pop(); next; next = this.started.pop())
      await Promise.race([this.stopOne(next, deadline), late]);
  }

  private async stopOne({ name, stop }: Started, deadline: AbortSignal): Promise<void> {
    try {
      await stop(deadline);
    } catch (err) {
      this.log.warn({ err, name }, "could not be stopped cleanly");
    }
  }
}
