import type { HostStatus } from "../../../../protocol/host-status.ts";
import { type Member, memberSchema } from "../../../../protocol/member.ts";
import { hostToken } from "../../../../protocol/names.ts";
import { edgeStatusSchema } from "../../../../protocol/routes.ts";
import { buckets, keys } from "../../../../protocol/subjects.ts";
import { openBucket, readValues } from "../../../buckets.ts";
import type { Bus } from "../../../bus.ts";
import { follow } from "../../../follow.ts";
import { followStatuses, type OnMalformed } from "../../../hosts.ts";
import type { KnownEdge } from "../../decisions/missing-edges.ts";
import { ChangeSignal } from "./change-signal.ts";

/** What each host of a service last reported. */
export class Fleet {
  /** Says which host reported. */
  readonly changes = new ChangeSignal<HostStatus>();
  private readonly statusByKey = new Map<string, HostStatus>();
  private constructor() {}

  static async follow(bus: Bus, service: string, onMalformed: OnMalformed): Promise<Fleet & { stop: () => void }> {
    const fleet = new Fleet();
    const hear = (status: HostStatus) => {
      fleet.statusByKey.set(hostToken(status.host), status);
      fleet.changes.emit(status);
    };
    const stop = await followStatuses(bus, service, hear, onMalformed);
    return Object.assign(fleet, { stop });
  }

  /** By name. */
  get statuses(): HostStatus[] {
    return [...this.statusByKey.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  statusOf(host: string): HostStatus | undefined {
    return this.statusByKey.get(hostToken(host));
  }
}

/** What an edge wrote, as far as it can be read. */
export function parseEdge(key: string, text: string): KnownEdge {
  const edge = key.slice(key.indexOf(".") + 1);
  try {
    const parsed = edgeStatusSchema.safeParse(JSON.parse(text));
    if (parsed.success && parsed.data.edge === edge) return { edge, status: parsed.data };
    const issue = parsed.error?.issues[0];
    const problem = parsed.success
      ? `it is of edge ${parsed.data.edge}`
      : `${issue?.path.join(".")}: ${issue?.message}`;
    return { edge, status: null, problem };
  } catch {
    return { edge, status: null, problem: "is not JSON" };
  }
}

/** What each edge of a service last acknowledged. One whose status can't be read is an edge all the same. */
export class KnownEdges {
  readonly changes = new ChangeSignal();
  private readonly edges = new Map<string, KnownEdge>();
  private constructor() {}

  static async follow(bus: Bus, service: string): Promise<KnownEdges & { stop: () => void }> {
    const edges = new KnownEdges();
    const stop = await follow(bus, {
      bucket: buckets.edges,
      filter: keys.edge(service, "*"),
      onValue: (key, text) => {
        edges.edges.set(key, parseEdge(key, text));
        edges.changes.emit();
      },
      onGone: (key) => {
        edges.edges.delete(key);
        edges.changes.emit();
      },
    });
    return Object.assign(edges, { stop });
  }

  get all(): KnownEdge[] {
    return [...this.edges.values()];
  }
}

/** The end of a member's key, which tells whose it is: `HOST.SLOT`, the host as in keys. */
export function slotId(host: string, slot: string): string {
  return `${hostToken(host)}.${slot}`;
}

/** A member, or why it is none. The KV revision is known only where the value was read, not where it was heard. */
export type KnownMember = ({ member: Member } | { member: null; problem: string }) & { revision?: number | undefined };

/** Follows the members of a service, only while somebody waits for some. */
export class KnownMembers {
  readonly changes = new ChangeSignal();
  /** By `memberId`. */
  readonly all = new Map<string, KnownMember>();
  private constructor() {}

  static async follow(bus: Bus, service: string): Promise<KnownMembers & { stop: () => void }> {
    const members = new KnownMembers();
    const idOf = (key: string) => key.split(".").slice(2).join(".");
    const stop = await follow(bus, {
      bucket: buckets.serversets,
      filter: `${service}.*.*.*`,
      onValue: (key, text, revision) => {
        members.all.set(idOf(key), { ...parseMember(text), revision });
        members.changes.emit();
      },
      onGone: (key) => {
        members.all.delete(idOf(key));
        members.changes.emit();
      },
    });
    return Object.assign(members, { stop });
  }
}

function parseMember(text: string): KnownMember {
  try {
    const parsed = memberSchema.safeParse(JSON.parse(text));
    if (parsed.success) return { member: parsed.data };
    const issue = parsed.error.issues[0];
    return { member: null, problem: `${issue?.path.join(".")}: ${issue?.message}` };
  } catch {
    return { member: null, problem: "is not JSON" };
  }
}

/** The highest KV revision of some members, as they are known, else as they are now. */
export async function highestRevision(
  bus: Bus,
  service: string,
  ids: ReadonlySet<string>,
  known: ReadonlyMap<string, KnownMember>,
): Promise<number> {
  const read = [...ids].map((id) => known.get(id)?.revision);
  if (read.every((revision) => revision !== undefined)) return read.reduce((a, b) => Math.max(a, b), 0);
  const kv = await openBucket(bus, buckets.serversets);
  const entries = await readValues(bus, kv, `${service}.*.*.*`);
  const revisions = entries
    .filter(({ key }) => ids.has(key.split(".").slice(2).join(".")))
    .map((entry) => entry.revision);
  return revisions.reduce((a, b) => Math.max(a, b), 0);
}
