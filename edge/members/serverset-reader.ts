import type { Logger } from "pino";
import type { LeaseClock } from "./lease-clock.ts";
import type { MemberReader, MemberWrite } from "./member-source.ts";
import type { KnownMembers } from "./members.ts";

/** What follows from what the serverset says. */
export interface ServersetListener {
  /** A member changed with this revision, which somebody may wait for. */
  onMemberChange(revision: number): void;
  /** The serverset was read completely. */
  onServersetListed(): void;
  /** Another serverset took the place of the one before: its revisions start again. */
  onServersetReplaced(): void;
}

/** Keeps the known members, and the clock of their leases, up to date with the serverset. */
export class ServersetReader implements MemberReader {
  /** Whether the serverset was read completely at least once. */
  isRead = false;
  private registryId: string | null = null;

  constructor(
    private readonly members: KnownMembers,
    private readonly leases: LeaseClock,
    private readonly listener: ServersetListener,
    private readonly log: Logger,
  ) {}

  begin(registryId: string): void {
    const isSame = registryId === this.registryId;
    this.members.beginListing(isSame);
    this.registryId = registryId;
    if (!isSame) this.listener.onServersetReplaced();
  }

  take({ key, revision, text }: MemberWrite): void {
    const now = performance.now();
    // A new listing repeats older writes.
    if (revision > this.members.revision) this.leases.onMemberWritten(now);
    if (this.members.recordWrite(key, revision, text, now) !== "changed") return;
    this.log.debug({ key, revision }, "member changed");
    this.listener.onMemberChange(revision);
  }

  listed(): void {
    this.members.endListing(performance.now());
    this.isRead = true;
    this.listener.onServersetListed();
  }

  present(present: boolean): void {
    this.log.info({ present }, present ? "serverset is watched" : "serverset can't be watched; leases stand still");
    this.leases.setWatched(present, performance.now());
  }
}
