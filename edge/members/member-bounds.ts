import { BlockList, isIPv6 } from "node:net";
import { hostToken } from "../../protocol/names.ts";
import type { ReadMember } from "./read-member.ts";

/** What the edge's configuration grants to each host. */
export interface Grants {
  /** Networks that endpoints may lie in; null: any, but link-local ones, and loopback only on the edge's own host. */
  networks: readonly string[] | null;
  /** The most ready workers of a host, all slots together. */
  maxCapacity: number;
  /** Names of the host that the edge runs on. */
  ownHosts: readonly string[];
}

/** A host has two slots; no configuration needs more than a few. */
const MAX_SLOTS = 8;

/** This network, multicast, reserved addresses and broadcast: never an endpoint, whatever the configuration says. */
const NOWHERE = networkList(["0.0.0.0/8", "224.0.0.0/3", "::/128", "ff00::/8"]);
const LINK_LOCAL = networkList(["169.254.0.0/16", "fe80::/10"]);
const LOOPBACK = networkList(["127.0.0.0/8", "::1/128"]);

/**
 * Bounds what hosts may claim. A host may write whatever it likes under its own keys: what exceeds a bound is left out,
 * and everything else is served.
 */
export class MemberBounds {
  private readonly networks: BlockList | null;

  constructor(private readonly grants: Grants) {
    this.networks = grants.networks && networkList(grants.networks);
  }

  /**
   * The members that claim too much: their ids, and the rule that each breaks. Of a host's slots, the first ones count.
   * @param members in the order in which they became known
   */
  findExcess(members: Iterable<ReadMember>): Map<string, string> {
    const excess = new Map<string, string>();
    const hosts = new Map<string, { slots: number; capacity: number }>();
    for (const member of members) {
      if (!member.alive) continue;
      const used = hosts.get(member.host) ?? { slots: 0, capacity: 0 };
      const rule = this.addressFault(member) ?? this.shareFault(member, used);
      if (rule !== null) excess.set(member.id, rule);
      else hosts.set(member.host, { slots: used.slots + 1, capacity: used.capacity + member.weight });
    }
    return excess;
  }

  private shareFault({ host, weight }: ReadMember, used: { slots: number; capacity: number }): string | null {
    const { maxCapacity } = this.grants;
    if (used.slots >= MAX_SLOTS) return `its host ${host} has ${MAX_SLOTS} other slots already, and may not have more`;
    if (used.capacity + weight <= maxCapacity) return null;
    const others = used.capacity > 0 ? `, and its host's other slots have ${used.capacity}` : "";
    return `metadata.capacity: is ${weight}${others}; this edge's max_capacity is ${maxCapacity} for a host`;
  }

  private addressFault({ host, address }: ReadMember): string | null {
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    const isIn = (list: BlockList) => list.check(address, family);
    const refused = (why: string) => `serviceEndpoint.host: is ${address}, ${why}`;
    if (isIn(NOWHERE)) return refused("which is not the address of a host");
    if (this.networks !== null) return isIn(this.networks) ? null : refused("outside this edge's networks");
    if (isIn(LINK_LOCAL)) return refused("a link-local address; allow it in this edge's networks");
    if (isIn(LOOPBACK) && !this.isOwnHost(host))
      return refused(
        `a loopback address of another host, ${host}; set advertise there, or allow it in this edge's networks`,
      );
    return null;
  }

  private isOwnHost(host: string): boolean {
    return this.grants.ownHosts.some((own) => hostToken(own) === hostToken(host));
  }
}

function networkList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits] = network.split("/");
    list.addSubnet(address, Number(bits), isIPv6(address) ? "ipv6" : "ipv4");
  }
  return list;
}
