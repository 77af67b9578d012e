import { AgentBusyError } from "../../../protocol/errors.ts";

/** Does requested work one at a time, in the order of the requests, and refuses a request behind too many others. */
export class BoundedQueue {
  private busy = false;
  /** Each begins its work when called. */
  private readonly waiting = new Set<() => void>();

  /** @param what the work, for the message of a refusal */
  constructor(
    private readonly what: string,
    private readonly maxWaiting: number,
  ) {}

  /**
   * A request whose signal is aborted while it waits leaves the queue.
   * @throws AgentBusyError; the signal's reason; what the work throws.
   */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.busy) await this.turn(signal);
    this.busy = true;
    try {
      return await work();
    } finally {
      const [next] = this.waiting;
      // Otherwise it stays busy: the turn is passed on, and nobody gets in between.
      if (next === undefined) this.busy = false;
      else next();
    }
  }

  private turn(signal: AbortSignal): Promise<void> {
    if (this.waiting.size >= this.maxWaiting) throw new AgentBusyError(this.what, this.waiting.size + 1);
    return new Promise((resolve, reject) => {
      const begin = () => {
        leave();
        resolve();
      };
      const onAbort = () => {
        leave();
        reject(signal.reason);
      };
      const leave = () => {
        this.waiting.delete(begin);
        signal.removeEventListener("abort", onAbort);
      };
      this.waiting.add(begin);
      signal.addEventListener("abort", onAbort);
    });
  }
}
