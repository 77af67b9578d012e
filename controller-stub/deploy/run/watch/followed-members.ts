import { openBucket } from "../../../../bus/buckets.ts";
import { readValues } from "../../../../bus/list-bucket.ts";
import type { BusSession } from "../../../../bus/session.ts";
import { buckets } from "../../../../protocol/subjects.ts";
import { followValues } from "../../../follow.ts";
import { readRegistration } from "../../../values/read-values.ts";
import type { KnownMember } from "../../decisions/missing-members.ts";
import { ChangeSignal } from "./change-signal.ts";

/** The members of a service. They are many, so a run follows them only while it waits for some. */
export class FollowedMembers {
  readonly changes = new ChangeSignal();
  /** By `slotId`. */
  readonly all = new Map<string, KnownMember>();

  private constructor(
    private readonly bus: BusSession,
    private readonly service: string,
  ) {}

  static async follow(bus: BusSession, service: string): Promise<FollowedMembers & { stop: () => void }> {
    const members = new FollowedMembers(bus, service);
    const stop = await followValues(bus, {
      bucket: buckets.serversets,
      filter: members.filter,
      onValue: (key, text, revision) => {
        members.all.set(slotIdOf(key), { ...parseMember(key, text), revision });
        members.changes.emit();
      },
      onGone: (key) => {
        members.all.delete(slotIdOf(key));
        members.changes.emit();
      },
    });
    return Object.assign(members, { stop });
  }

  /** The highest KV revision of some members; 0 without any. It is read again for members that were only heard. */
  async highestRevision(ids: ReadonlySet<string>): Promise<number> {
    const known = [...ids].map((id) => this.all.get(id)?.revision);
    return highest(known.every((revision) => revision !== undefined) ? known : await this.fetchRevisions(ids));
  }

  private async fetchRevisions(ids: ReadonlySet<string>): Promise<number[]> {
    const kv = await openBucket(this.bus, buckets.serversets);
    const entries = await readValues(this.bus, kv, this.filter);
    return entries.filter(({ key }) => ids.has(slotIdOf(key))).map(({ revision }) => revision);
  }

  private get filter(): string {
    return `${this.service}.*.*.*`;
  }
}

function highest(revisions: readonly number[]): number {
  return revisions.reduce((a, b) => Math.max(a, b), 0);
}

/** A key is `SERVICE.STAGE.HOST.SLOT`. */
function slotIdOf(key: string): string {
  return key.split(".").slice(2).join(".");
}

/** A member as it was written, as far as it can be read, with the stage that its key names. */
export function parseMember(key: string, text: string): KnownMember {
  const [, stage = ""] = key.split(".");
  const read = readRegistration(key, text);
  return "broken" in read ? { member: null, stage, problem: read.broken } : { member: read.value, stage };
}
