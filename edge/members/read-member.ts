import { isIP } from "node:net";
import { decode } from "../../protocol/decode.ts";
import { memberSchema } from "../../protocol/member.ts";
import { hostSchema, hostToken, versionSchema } from "../../protocol/names.ts";
import { keys } from "../../protocol/subjects.ts";

/** What an edge needs to know about a member: its endpoint and what it serves. */
export interface ReadMember {
  /** Its key without the service: `stage.host.slot`. */
  id: string;
  /** The stage that its host belongs to, such as `prod` or `canary`. */
  stage: string;
  /** The name of its host. */
  host: string;
  address: string;
  port: number;
  /** Its ready workers; at least 1. */
  weight: number;
  version: string;
  /** Digest of the release that it claims to serve; null if it claims none. */
  sha256: string | null;
  /** Whether it may get requests. False: it has withdrawn. */
  alive: boolean;
}

const CAPACITY = /^[1-9]\d{0,5}$/;
const WILDCARDS = ["0.0.0.0", "::"];

/**
 * Reads the value of a key of the serverset bucket, which may be any text.
 * @returns the member, or the rule that it breaks
 */
export function readMember(service: string, key: string, text: string): ReadMember | { broken: string } {
  const parsed = decode(memberSchema, text);
  if ("broken" in parsed) return parsed;
  const { serviceEndpoint, status, metadata } = parsed.value;
  const { stage = "", host = "", slot = "", version = "", sha256, capacity = "" } = metadata;
  if (metadata.service !== service || !isKeyOf(key, service, stage, host, slot))
    return { broken: "metadata: service, stage, host and slot are not those of its key" };
  if (!versionSchema.safeParse(version).success) return { broken: "metadata.version: is not a version" };
  const { host: address, port } = serviceEndpoint;
  // A zone (%eth0) has a meaning only on the member's own host.
  if (isIP(address) === 0 || address.includes("%") || WILDCARDS.includes(address))
    return { broken: "serviceEndpoint.host: is not the IP address of a host" };
  const alive = status === "ALIVE";
  if (alive && !CAPACITY.test(capacity)) return { broken: "metadata.capacity: is not a whole number from 1 to 999999" };
  const weight = CAPACITY.test(capacity) ? Number(capacity) : 1;
  return { id: endpointId(service, key), stage, host, address, port, weight, version, sha256: sha256 ?? null, alive };
}

function isKeyOf(key: string, service: string, stage: string, host: string, slot: string): boolean {
  return hostSchema.safeParse(host).success && keys.member(service, stage, hostToken(host), slot) === key;
}

/** A member's key without the service. */
export function endpointId(service: string, key: string): string {
  return key.slice(service.length + 1);
}
