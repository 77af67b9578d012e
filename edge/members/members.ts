import { memberLeaseMs } from "../../protocol/member.ts";
import { isTooMuch, lossWindowMs } from "./hold-back.ts";
import { type ReadMember, readMember } from "./read-member.ts";

/**
 * - `alive`: gets requests. Entered when a valid value with status ALIVE arrives.
 * - `withdrawn`: said itself that it must get no requests. Forgotten when its key is deleted or its lease lapses.
 * - `vanished`: was alive when its key was deleted or its lease lapsed. `judgeLosses` turns it into `held` or `left`.
 * - `held`: vanished together with too many others. Gets requests until it returns, withdraws, refuses connections, or
 *   an operator accepts its loss.
 * - `refusing`: was held, and its port refuses connections. Gets no requests. Held again if the port accepts one within
 *   `lossWindowMs`; then it is forgotten.
 * - `left`: vanished, and gets no requests. Remembered for `lossWindowMs`, so that many small losses add up to a big
 *   one; then it is held back after all.
 */
type MemberState = "alive" | "withdrawn" | "vanished" | "held" | "refusing" | "left";

/** States of a member that is gone without having withdrawn. */
const GONE: readonly MemberState[] = ["vanished", "held", "refusing", "left"];

interface TrackedMember {
  key: string;
  text: string;
  revision: number;
  member: ReadMember;
  state: MemberState;
  /** When its key was last written, or when it vanished; ms of a monotonic clock. */
  at: number;
}

/** A member as it is written to disk. */
export interface KeptMember {
  key: string;
  text: string;
  revision: number;
}

/** `repeated`: a mere heartbeat. `ignored`: an old write, or one that is still malformed in the same way. */
export type WriteOutcome = "changed" | "repeated" | "ignored";

/**
 * The members of the serverset, by their states. Pure: the time is a parameter, in ms of a monotonic clock.
 * Writes come in the order of revisions; each changes the state of at most one member, see `MemberState`.
 */
export class KnownMembers {
  /** Everything in the bucket up to this revision was recorded. */
  revision = 0;
  /** Key → the rule that its value breaks. */
  readonly problems = new Map<string, string>();
  private readonly known = new Map<string, TrackedMember>();
  /** The listing in progress: its keys so far, and the revision that it must reach to be complete. */
  private listing: { keys: Set<string>; upTo: number } | null = null;

  constructor(private readonly service: string) {}

  /**
   * @param same whether the bucket is the one that was listed before: then writes up to `revision` are ignored as old
   */
  beginListing(same: boolean): void {
    this.listing = { keys: new Set(), upTo: same ? this.revision : 0 };
    if (same) return;
    this.revision = 0;
    this.problems.clear();
    for (const known of this.known.values()) known.revision = 0;
  }

  /** Records a write of a key: a text, or null for its deletion. */
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
      // A member that repeats its withdrawal may be waiting for the later revision.
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

  /**
   * A listing is complete: members that are not in it have vanished. A listing that is older than known writes proves
   * nothing.
   */
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
      const isOver = known.state === "left" || known.state === "refusing";
      if (isOver && now - known.at > lossWindowMs) this.known.delete(known.key);
      if (known.state !== "alive" && known.state !== "withdrawn") continue;
      if (now - known.at <= memberLeaseMs) continue;
      this.vanish(known, now);
      changed = true;
    }
    return changed;
  }

  /** Gives every member a fresh lease: no heartbeat could arrive. */
  renew(now: number): void {
    for (const known of this.known.values()) if (known.state === "alive" || known.state === "withdrawn") known.at = now;
  }

  private vanish(known: TrackedMember | undefined, now: number): void {
    if (known?.state === "withdrawn") this.known.delete(known.key);
    if (known?.state !== "alive") return;
    known.state = "vanished";
    known.at = now;
  }

  /**
   * Decides whether vanished members leave or are held back, for each version by itself, and returns the members that
   * get requests. A version thus never loses its last members to silence. Leases lapse one by one: once too many of a
   * version are gone, those that left within the window are held back, too.
   * @param counts whether a member serves a version that is routed to; others leave
   */
  judgeLosses(counts: (member: ReadMember) => boolean, maxLoss: number): { members: ReadMember[]; heldBack: string[] } {
    for (const { key, state, member } of [...this.known.values()])
      if (GONE.includes(state) && !counts(member)) this.known.delete(key);
    const counted = [...this.known.values()].filter(({ member }) => counts(member));
    for (const version of new Set(counted.map(({ member }) => member.version)))
      judgeVersion(
        counted.filter(({ member }) => member.version === version),
        maxLoss,
      );
    return {
      members: counted.filter(({ state }) => state === "alive" || state === "held").map(({ member }) => member),
      heldBack: counted.filter(({ state }) => state === "held").map(({ member }) => member.id),
    };
  }

  /** All known members that have not left, including withdrawn ones. */
  all(): ReadMember[] {
    const there = [...this.known.values()].filter(({ state }) => state !== "left" && state !== "refusing");
    return there.map(({ member }) => member);
  }

  /** The members whose ports can tell whether they are gone, by key. */
  doubtful(): Map<string, ReadMember> {
    const doubtful = [...this.known.values()].filter(({ state }) => state === "held" || state === "refusing");
    return new Map(doubtful.map(({ key, member }) => [key, member]));
  }

  /** The port of a doubtful member refuses connections, or accepts one. @returns whether its state changed */
  recordProbe(key: string, answer: "refuses" | "accepts", now: number): boolean {
    const known = this.known.get(key);
    const [from, to] = answer === "refuses" ? (["held", "refusing"] as const) : (["refusing", "held"] as const);
    if (known?.state !== from) return false;
    known.state = to;
    known.at = now;
    return true;
  }

  /** An operator confirms that the members held back are really gone. @returns how many there were */
  acceptLoss(): number {
    const doubtful = this.doubtful();
    for (const key of doubtful.keys()) this.known.delete(key);
    return doubtful.size;
  }

  /** What `restore` needs after a restart. */
  snapshot(): KeptMember[] {
    const routed = [...this.known.values()].filter(({ state }) => state === "alive" || state === "held");
    return routed.map(({ key, text, revision }) => ({ key, text, revision }));
  }

  /** Restores a snapshot, less any member that this version finds malformed. */
  restore(kept: readonly KeptMember[], revision: number, now: number): void {
    for (const { key, text, revision } of kept) {
      const member = readMember(this.service, key, text);
      if (!("broken" in member)) this.known.set(key, { key, text, revision, member, state: "alive", at: now });
    }
    this.revision = revision;
  }
}

/** Judges the losses among the members of one version. */
function judgeVersion(members: readonly TrackedMember[], maxLoss: number): void {
  const alive = members.filter(({ state }) => state === "alive").length;
  const gone = members.filter(({ state }) => GONE.includes(state));
  const tooMuch = isTooMuch({ alive, vanished: gone.length }, maxLoss);
  for (const known of gone) {
    if (known.state === "refusing") continue;
    if (tooMuch) known.state = "held";
    else if (known.state === "vanished") known.state = "left";
  }
}
