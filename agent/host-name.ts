import { decode } from "../protocol/decode.ts";
import { HostNameTakenError, type SlotdError } from "../protocol/errors.ts";
import { type HostStatus, hostStatusSchema, type WireError } from "../protocol/host-status.ts";

/** Living agents write their status every few seconds: one that was not heard for so long is gone. */
const GONE_MS = 60_000;

interface Heard {
  text: string;
  at: number;
}

/**
 * Whether this agent is the only one with its host's name. Another one is noticed by its values under this host's key:
 * two of them within a minute, since a single one may still be on its way from this agent's own predecessor. The time
 * is passed in.
 */
export class HostName {
  private last: Heard | null = null;
  private taken: WireError | null = null;

  constructor(
    private readonly key: string,
    private readonly own: Pick<HostStatus, "pid" | "startedAt">,
    private readonly onTaken: (error: SlotdError) => void,
  ) {}

  /** Takes a value of the key that this agent did not write. */
  hear(text: string, now: number): void {
    const decoded = decode(hostStatusSchema, text);
    if ("broken" in decoded || this.isOwn(decoded.value)) return;
    const before = this.isPresent(now) ? this.last : null;
    this.last = { text, at: now };
    if (before === null || before.text === text || this.taken) return;
    const { host, pid, startedAt } = decoded.value;
    const error = new HostNameTakenError(this.key, `host ${host}, pid ${pid}, started ${startedAt}`);
    this.taken = { ...error.toWire(), at: new Date().toISOString() };
    this.onTaken(error);
  }

  /** What an operator has to know; null while nobody else was heard lately. */
  problem(now: number): WireError | null {
    if (!this.isPresent(now)) this.taken = null;
    return this.taken;
  }

  private isPresent(now: number): boolean {
    return this.last !== null && now - this.last.at < GONE_MS;
  }

  private isOwn({ pid, startedAt }: HostStatus): boolean {
    return pid === this.own.pid && startedAt === this.own.startedAt;
  }
}
