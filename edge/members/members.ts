import { memberLeaseMs } from "../../protocol/member.ts";
import { isTooMuch, lossWindowMs } from "./hold-back.ts";
import { type ReadMember, readMember } from "./read-member.ts";

/**
 * - `alive`: gets requests. Entered by a good value with status ALIVE.
 * - `withdrawn`: said itself that it gets none, and is forgotten when its key is deleted or its lease lapses.
 * - `vanished`: was alive, and its key was deleted or its lease lapsed. Not judged yet: until then it gets requests.
 * - `held`: vanished together with too many others. Gets requests until it returns, withdraws, or an operator accepts its loss.
 * - `left`: vanished, and was let go. Remembered for a while, so that many small losses are seen to be a big one.
 */
type MemberState = "alive" | "withdrawn" | "vanished" | "held" | "left";

interface KnownMember {
  key: string;
  text: string;
  revision: number;
  member: ReadMember;
  state: MemberState;
  /** When the key was last heard of, or vanished; ms of a monotonic clock. */
  at: number;
}

/** A member as it is written to disk. */
export interface KeptMember {
  key: string;
  text: string;
  revision: number;
}

/** `repeated`: a heartbeat, nothing else. `ignored`: it was heard before, or can't be read. */
export type WriteOutcome = "changed" | "repeated" | "ignored";

/**
 * Who serves, as far as the serverset tells. Every value was checked; time comes from outside, in ms of a monotonic clock.
 * Events come in the order of their revisions; each may change one member's state, see `State`.
 */
export class KnownMembers {
  /** Everything that the bucket held up to this revision was taken. */
  revision = 0;
  /** Key → what is wrong with its value. */
  readonly problems = new Map<string, string>();
  private readonly known = new Map<string, KnownMember>();
  /** The keys of the listing under way. */
  private listing: { keys: Set<string>; upTo: number } | null = null;

  constructor(private readonly service: string) {}

  /** @param same whether it is of the bucket that was listed before: then what was heard before is not taken again. */
  beginListing(same: boolean): void {
    this.listing = { keys: new Set(), upTo: same ? this.revision : 0 };
    if (same) return;
    this.revision = 0;
    this.problems.clear();
    for (const known of this.known.values()) known.revision = 0;
  }

  /** Takes a write of a key: a text, or null for its deletion. */
  recordWrite(key: string, revision: number, text: string | null, now: number): WriteOutcome {
    if (text !== null) this.listing?.keys.add(key);
    if (revision <= this.revision) return "ignored";
    this.revision = revision;
    return text === null ? this.recordDeletion(key, now) : this.recordValue(key, revision, text, now);
  }

  private recordValue(key: string, revision: number, text: string, now: number): WriteOutcome {
    const known = this.known.get(key);
    if (known && known.text === text && (known.state === "alive" || known.state === "withdrawn")) {
      known.at = now;
      known.revision = revision;
      const repaired = this.problems.delete(key);
      // Whoever says again that it withdraws may be waiting for the later revision.
      return repaired || known.state === "withdrawn" ? "changed" : "repeated";
    }
    const read = readMember(this.service, key, text);
    if ("broken" in read) {
      const news = this.problems.get(key) !== read.broken;
      this.problems.set(key, read.broken);
      return news ? "changed" : "ignored";
    }
    this.problems.delete(key);
    this.known.set(key, { key, text, revision, member: read, state: read.alive ? "alive" : "withdrawn", at: now });
    return "changed";
  }

  private recordDeletion(key: string, now: number): WriteOutcome {
    this.problems.delete(key);
    this.vanish(this.known.get(key), now);
    return "changed";
  }

  /** A listing is whole: what it does not have is gone. One that is behind what was heard before says nothing of that. */
  endListing(now: number): void {
    const { listing } = this;
    this.listing = null;
    if (!listing || this.revision < listing.upTo) return;
    for (const known of [...this.known.values()]) if (!listing.keys.has(known.key)) this.vanish(known, now);
    for (const key of this.problems.keys()) if (!listing.keys.has(key)) this.problems.delete(key);
  }

  /** Lets leases lapse. @returns whether anything changed */
  lapse(now: number): boolean {
    let changed = false;
    for (const known of [...this.known.values()]) {
      if (known.state === "left" && now - known.at > lossWindowMs) this.known.delete(known.key);
      if (known.state !== "alive" && known.state !== "withdrawn") continue;
      if (now - known.at <= memberLeaseMs) continue;
      this.vanish(known, now);
      changed = true;
    }
    return changed;
  }

  /** A fresh lease for all: nobody could be heard. */
  renew(now: number): void {
    for (const known of this.known.values()) if (known.state === "alive" || known.state === "withdrawn") known.at = now;
  }

  private vanish(known: KnownMember | undefined, now: number): void {
    if (known?.state === "withdrawn") this.known.delete(known.key);
    if (known?.state !== "alive") return;
    known.state = "vanished";
    known.at = now;
  }

  /**
   * Judges what vanished since, and returns who gets requests.
   * @param counts whether a member is one that matters: others are let go
   */
  judgeLosses(counts: (member: ReadMember) => boolean, maxLoss: number): { members: ReadMember[]; heldBack: string[] } {
    for (const { key, state, member } of [...this.known.values()])
      if ((state === "vanished" || state === "held" || state === "left") && !counts(member)) this.known.delete(key);
    const counted = [...this.known.values()].filter(({ member }) => counts(member));
    const alive = counted.filter(({ state }) => state === "alive").length;
    const gone = counted.filter(({ state }) => state === "vanished" || state === "held" || state === "left");
    const verdict = isTooMuch({ alive, vanished: gone.length }, maxLoss) ? "held" : "left";
    for (const known of gone) if (known.state === "vanished") known.state = verdict;
    return {
      members: counted.filter(({ state }) => state === "alive" || state === "held").map(({ member }) => member),
      heldBack: gone.filter(({ state }) => state === "held").map(({ member }) => member.id),
    };
  }

  /** Whoever is known and has not left, whether it may get requests or not. */
  all(): ReadMember[] {
    return [...this.known.values()].filter(({ state }) => state !== "left").map(({ member }) => member);
  }

  /** An operator says that those that are held back are really gone. @returns how many these are */
  acceptLoss(): number {
    const held = [...this.known.values()].filter(({ state }) => state === "held");
    for (const { key } of held) this.known.delete(key);
    return held.length;
  }

  /** What is needed to go on after a restart. */
  snapshot(): KeptMember[] {
    const routed = [...this.known.values()].filter(({ state }) => state === "alive" || state === "held");
    return routed.map(({ key, text, revision }) => ({ key, text, revision }));
  }

  /** Goes on from what was kept. What can't be read any more is left out. */
  restore(kept: readonly KeptMember[], revision: number, now: number): void {
    for (const { key, text, revision } of kept) {
      const member = readMember(this.service, key, text);
      if (!("broken" in member)) this.known.set(key, { key, text, revision, member, state: "alive", at: now });
    }
    this.revision = revision;
  }
}
