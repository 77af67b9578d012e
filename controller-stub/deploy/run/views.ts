import { openBucket } from "../../../bus/buckets.ts";
import { readValues } from "../../../bus/list-bucket.ts";
import type { BusSession } from "../../../bus/session.ts";
import { decode } from "../../../protocol/decode.ts";
import type { HostStatus } from "../../../protocol/host-status.ts";
import { type Member, memberSchema } from "../../../protocol/member.ts";
import { hostToken } from "../../../protocol/names.ts";
import { edgeStatusSchema } from "../../../protocol/routes.ts";
import { buckets, keys } from "../../../protocol/subjects.ts";
import { followValues } from "../../follow.ts";
import { followStatuses, type OnMalformed } from "../../hosts.ts";
import type { KnownEdge } from "../decisions/barrier.ts";
import { ChangeSignal } from "./change-signal.ts";

/** What each host of a service last reported. */
export class Fleet {
  /** Says which host reported. */
  readonly changes = new ChangeSignal<HostStatus>();
  private readonly statusByKey = new Map<string, HostStatus>();
  private constructor() {}

  static async follow(
    bus: BusSession,
    service: string,
    onMalformed: OnMalformed,
  ): Promise<Fleet & { stop: () => void }> {
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

  of(host: string): HostStatus | undefined {
    return this.statusByKey.get(hostToken(host));
  }
}

/** What an edge wrote, as far as it can be read. */
export function readEdge(key: string, text: string): KnownEdge {
  const edge = key.slice(key.indexOf(".") + 1);
  const decoded = decode(edgeStatusSchema, text);
  if ("broken" in decoded) return { edge, status: null, problem: decoded.broken };
  const { value: status } = decoded;
  return status.edge === edge
    ? { edge, status }
    : { edge, status: null, problem: `edge: must be ${edge}, not ${status.edge}` };
}

/** What each edge of a service last acknowledged. One whose status can't be read is an edge all the same. */
export class Edges {
  readonly changes = new ChangeSignal();
  private readonly edges = new Map<string, KnownEdge>();
  private constructor() {}

  static async follow(bus: BusSession, service: string): Promise<Edges & { stop: () => void }> {
    const edges = new Edges();
    const stop = await followValues(bus, {
      bucket: buckets.edges,
      filter: keys.edge(service, "*"),
      onValue: (key, text) => {
        edges.edges.set(key, readEdge(key, text));
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
export function memberId(host: string, slot: string): string {
  return `${hostToken(host)}.${slot}`;
}

/** A member, or why it is none. The KV revision is known only where the value was read, not where it was heard. */
export type KnownMember = ({ member: Member } | { member: null; problem: string }) & { revision?: number | undefined };

/** Follows the members of a service, only while somebody waits for some. */
export class Members {
  readonly changes = new ChangeSignal();
  /** By `memberId`. */
  readonly all = new Map<string, KnownMember>();
  private constructor() {}

  static async follow(bus: BusSession, service: string): Promise<Members & { stop: () => void }> {
    const members = new Members();
    const idOf = (key: string) => key.split(".").slice(2).join(".");
    const stop = await followValues(bus, {
      bucket: buckets.serversets,
      filter: `${service}.*.*.*`,
      onValue: (key, text, revision) => {
        members.all.set(idOf(key), { ...readMember(text), revision });
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

function readMember(text: string): KnownMember {
  const decoded = decode(memberSchema, text);
  return "value" in decoded ? { member: decoded.value } : { member: null, problem: decoded.broken };
}

/** The highest KV revision of some members, as they are known, else as they are now. */
export async function highestRevision(
  bus: BusSession,
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
