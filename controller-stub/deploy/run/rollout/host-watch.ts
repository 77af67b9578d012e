import type { HostStatus } from "../../../../protocol/host-status.ts";
import { hostToken } from "../../../../protocol/names.ts";
import { hostVerdict, type Ordered } from "../../decisions/host-verdict.ts";
import type { FailedHost } from "../../deploy-errors.ts";
import type { Fleet } from "../watch/fleet.ts";

const MAX_MESSAGE = 512;

/** Watches what becomes of the orders that hosts were given. A version may still fail after its order was done. */
export class HostWatch {
  /** By the host's form in keys. */
  private readonly watched = new Map<string, { ordered: Ordered; settle: (isDone: boolean) => void }>();
  private readonly unfollow: () => void;

  /** @param onFailed is called when a host fails, before or after its order was done, until it is dropped */
  constructor(
    private readonly fleet: Fleet,
    private readonly signal: AbortSignal,
    private readonly onFailed: (failed: FailedHost) => void,
  ) {
    this.unfollow = fleet.changes.onChange((status) => this.judge(hostToken(status.host), status));
  }

  stop(): void {
    this.unfollow();
  }

  /** @returns whether the order is done, once that is known. @throws the signal's reason */
  expect(host: string, ordered: Ordered): Promise<boolean> {
    return new Promise((resolve, reject) => {
      if (this.signal.aborted) return reject(this.signal.reason);
      const abort = () => reject(this.signal.reason);
      this.signal.addEventListener("abort", abort, { once: true });
      const settle = (isDone: boolean) => {
        this.signal.removeEventListener("abort", abort);
        resolve(isDone);
      };
      const token = hostToken(host);
      this.watched.set(token, { ordered, settle });
      const status = this.fleet.statusOf(host);
      if (status) this.judge(token, status);
    });
  }

  slotOf(host: string): string | undefined {
    return this.watched.get(hostToken(host))?.ordered.slot;
  }

  /** Stops watching a host that failed. @returns what tells those that wait for its order */
  drop(host: string): () => void {
    const token = hostToken(host);
    const watched = this.watched.get(token);
    this.watched.delete(token);
    return () => watched?.settle(false);
  }

  private judge(token: string, status: HostStatus): void {
    const watched = this.watched.get(token);
    if (watched === undefined) return;
    const verdict = hostVerdict(watched.ordered, status);
    if (verdict.kind === "done") watched.settle(true);
    if (verdict.kind !== "failed") return;
    const { code, message } = verdict;
    this.onFailed({ host: status.host, slot: watched.ordered.slot, code, message: message.slice(0, MAX_MESSAGE) });
  }
}
