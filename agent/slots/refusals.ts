import type { WireError } from "../../protocol/host-status.ts";

const WINDOW_MS = 60_000;
/** Within a window, refusals of so many kinds are told one by one. */
const KINDS = 20;

/** How many refusals were counted without being told, and the last of them. */
export interface Untold {
  count: number;
  last: WireError;
}

/**
 * Which refused orders are news. Whoever may write orders can write thousands of bad ones: the first of a kind is told,
 * the others are counted, and their number is told when a minute is over.
 */
export class Refusals {
  private readonly told = new Set<string>();
  private untold: Untold | null = null;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly onUntold: (untold: Untold) => void,
    private readonly windowMs = WINDOW_MS,
  ) {}

  /** Counts a refusal. @returns whether it is to be told */
  isNews(refusal: WireError): boolean {
    this.timer ??= setTimeout(() => this.endWindow(), this.windowMs).unref();
    const { code, field, orderId } = refusal;
    const kind = JSON.stringify([code, orderId ?? field]);
    if (!this.told.has(kind) && this.told.size < KINDS) {
      this.told.add(kind);
      return true;
    }
    this.untold = { count: (this.untold?.count ?? 0) + 1, last: refusal };
    return false;
  }

  private endWindow(): void {
    const { untold } = this;
    this.timer = undefined;
    this.told.clear();
    this.untold = null;
    if (untold) this.onUntold(untold);
  }
}
