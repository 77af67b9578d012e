import type { EdgeStatus } from "../../protocol/routes.ts";

interface Heard {
  status: EdgeStatus;
  /** As written: an edge that writes anything new, even just another time, is alive. */
  text: string;
  /** On the monotonic clock, in ms. */
  at: number;
}

/** An edge's value in the bucket; the status is null if it was malformed. */
export interface Found {
  text: string;
  status: EdgeStatus | null;
}

/**
 * The edges that were heard, and which of them count. An edge's lease runs from when it was last heard here, whatever
 * its own clock says. It has lapsed only when the bucket was read after the lease's end and held nothing new: silence
 * alone may be the bus's. Pure but for what it keeps; the time is passed in.
 */
export class EdgeLeases {
  private readonly edges = new Map<string, Heard>();
  private readBegan: number | null = null;

  /** The bucket was read at least once: before that, the absence of edges proves nothing. */
  get known(): boolean {
    return this.readBegan !== null;
  }

  hear(text: string, status: EdgeStatus, now: number): void {
    this.edges.set(status.edge, { text, status, at: now });
  }

  forget(edge: string): void {
    this.edges.delete(edge);
  }

  /**
   * Takes what a read found by edge. What was heard since the read began is newer; and a replica may answer with a
   * status before the last.
   */
  take(found: ReadonlyMap<string, Found>, began: number, now: number): void {
    if (this.readBegan !== null && began < this.readBegan) return;
    for (const [edge, { at }] of this.edges) if (!found.has(edge) && at < began) this.edges.delete(edge);
    for (const [edge, { text, status }] of found) {
      const heard = this.edges.get(edge);
      const isNews = !heard || (heard.at < began && heard.text !== text && !isOlder(status, heard.status));
      if (isNews && status) this.edges.set(edge, { text, status, at: now });
    }
    this.readBegan = began;
  }

  /**
   * Gives every edge that counts its whole lease again: after the bus was away, it has to be back there before it can
   * be heard.
   */
  renew(now: number): void {
    for (const heard of this.edges.values()) if (!this.isLapsed(heard)) heard.at = now;
  }

  /** The edges whose lease has not lapsed, by name. */
  live(): EdgeStatus[] {
    const live = [...this.edges.values()].filter((heard) => !this.isLapsed(heard)).map(({ status }) => status);
    return live.sort((one, other) => (one.edge < other.edge ? -1 : 1));
  }

  /** Whether an edge still counts only because the bucket was not read since its lease ended. */
  isOverdue(now: number): boolean {
    return [...this.edges.values()].some((heard) => endOf(heard) <= now && !this.isLapsed(heard));
  }

  private isLapsed(heard: Heard): boolean {
    return this.readBegan !== null && this.readBegan >= endOf(heard);
  }
}

/** By the edge's own clock: both times come from it. */
function isOlder(status: EdgeStatus | null, than: EdgeStatus): boolean {
  return status !== null && Date.parse(status.at) < Date.parse(than.at);
}

function endOf({ at, status }: Heard): number {
  return at + status.leaseMs;
}
