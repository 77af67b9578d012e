import { setImmediate as afterOthers } from "node:timers/promises";
import type { TcpConnection } from "../os/tcp-connections.ts";
import { type ConnectionCount, Tally } from "./in-flight.ts";

/** For how long a look may hold the event loop at once. */
const SLICE_MS = 4;
/** Looks take no more than this share of a core: the more connections there are, the longer the pauses. */
const SHARE = 0.05;

/** A list of connections that is being read: see `SocketDump`. */
export interface ConnectionScan {
  /** Reads on for so long. @returns whether the list has ended */
  read(forMs: number): boolean;
}

/** Connections that are not to be counted: the agent's own. */
export interface Uncounted {
  has(connection: TcpConnection): boolean;
  /** Tells which of them a whole look has found, and when it began: others are gone. */
  keep(peers: ReadonlySet<string>, beganMs: number): void;
}

/** One look at all connections. */
class Look {
  readonly tally: Tally;
  /** How long it has held the event loop. A slice counts no more than it may take: the rest was others' turn. */
  costMs = 0;
  private readonly beganMs = performance.now();
  private readonly ownPeers = new Set<string>();
  private readonly scan: ConnectionScan;

  constructor(
    openScan: (visit: (connection: TcpConnection) => void) => ConnectionScan,
    private readonly own: Uncounted,
    quietMs: number,
  ) {
    this.tally = new Tally(quietMs);
    this.scan = openScan((connection) => {
      if (own.has(connection)) this.ownPeers.add(connection.peer);
      else this.tally.add(connection);
    });
  }

  /** @returns whether it is complete */
  proceed(): boolean {
    const began = performance.now();
    const complete = this.scan.read(SLICE_MS);
    this.costMs += Math.min(SLICE_MS, performance.now() - began);
    if (complete) this.own.keep(this.ownPeers, this.beganMs);
    return complete;
  }
}

/**
 * Counts the connections of a slot. A look at tens of thousands takes a tenth of a second: it is made in slices, and
 * whoever asks for the status gets the last one rather than one of their own.
 */
export class ConnectionCounter {
  private last: ConnectionCount | null = null;
  /** Monotonic: until then the last look has to do. */
  private freshUntilMs = 0;
  private running = 0;

  /** @param quietMs see `isInFlight` */
  constructor(
    private readonly openScan: (visit: (connection: TcpConnection) => void) => ConnectionScan,
    private readonly own: Uncounted,
    private readonly quietMs: number,
  ) {}

  /** A look that begins now. */
  async count(): Promise<ConnectionCount> {
    return this.complete(this.begin());
  }

  /** Resolves when another look is due by what the last one has cost, and not before. */
  get restMs(): number {
    return Math.max(0, this.freshUntilMs - performance.now());
  }

  /** What is known without waiting: a look of now where that is quick, else the last one; null where there is none. */
  recent(): ConnectionCount | null {
    if (this.running > 0 || this.restMs > 0) return this.last;
    try {
      const look = this.begin();
      if (!this.proceed(look)) void this.complete(look).catch(() => {});
    } catch {
      // The kernel can't be asked now. `count` says so; a status has more to tell than connections.
      this.last = null;
    }
    return this.last;
  }

  private begin(): Look {
    return new Look(this.openScan, this.own, this.quietMs);
  }

  private async complete(look: Look): Promise<ConnectionCount> {
    this.running++;
    try {
      while (!this.proceed(look)) await afterOthers();
      return look.tally;
    } finally {
      this.running--;
    }
  }

  private proceed(look: Look): boolean {
    if (!look.proceed()) return false;
    this.last = look.tally;
    this.freshUntilMs = performance.now() + look.costMs / SHARE;
    return true;
  }
}
