import {
  EdgeStateError,
  EndpointsHeldBackError,
  MemberDigestError,
  MemberMalformedError,
  MemberRefusedError,
} from "../../protocol/edge-errors.ts";
import type { SlotdError } from "../../protocol/errors.ts";
import { type EdgeStatus, edgeLeaseMs } from "../../protocol/routes.ts";
import type { ReadMember } from "../members/read-member.ts";
import type { Table } from "../table/table.ts";
import { soleVersion } from "../table/unnamed.ts";

type Problem = EdgeStatus["problems"][number];

const MAX_PROBLEMS = 16;
const MAX_MESSAGE = 400;

/** Everything that is wrong. */
export interface Faults {
  /** Why the proxy does not run with the newest table. */
  proxy: SlotdError | null;
  routes: SlotdError | null;
  /** The ids of endpoints that are held back. */
  heldBack: readonly string[];
  /** Members' keys → the rule that each of them breaks. */
  malformed: ReadonlyMap<string, string>;
  /** Members whose release is not the one that the routes mean by their version. */
  digestMismatches: readonly ReadMember[];
  /** Ids of members that claim more than the edge grants → the rule that each of them breaks. */
  excess: ReadonlyMap<string, string>;
  /** Why the last good table could not be read from disk or written to it. */
  state: string | null;
}

/** The faults as `problems` of the status, the gravest first. */
export function problemsOf(service: string, faults: Faults): Problem[] {
  const { proxy, routes, heldBack, malformed, digestMismatches, excess, state } = faults;
  const errors: (SlotdError & { key?: string })[] = [];
  if (proxy) errors.push(proxy);
  if (routes) errors.push(routes);
  if (heldBack.length > 0) errors.push(new EndpointsHeldBackError(heldBack));
  if (state !== null) errors.push(new EdgeStateError(state));
  for (const { id, version } of digestMismatches) errors.push(new MemberDigestError(`${service}.${id}`, version));
  for (const [key, rule] of malformed) errors.push(new MemberMalformedError(key, rule));
  for (const [id, rule] of excess) errors.push(new MemberRefusedError(`${service}.${id}`, rule));
  return errors.slice(0, MAX_PROBLEMS).map((error) => {
    const { code, message, field } = error.toWire();
    const { key } = error;
    return {
      ...{ code, message: message.slice(0, MAX_MESSAGE) },
      ...(field !== undefined && { field }),
      ...(key !== undefined && { key: key.slice(0, MAX_MESSAGE) }),
    };
  });
}

/** The edge's status. It describes the table that the proxy runs with, never one that is still being applied. */
export function edgeStatus(
  identity: { service: string; edge: string; proxy: string },
  applied: Table | null,
  heldBack: number,
  problems: Problem[],
  at: Date,
): EdgeStatus {
  return {
    ...identity,
    appliedRoutes: applied?.routesRevision ?? 0,
    appliedServersets: applied?.serversetsRevision ?? 0,
    epoch: applied?.epoch ?? 0,
    serving: applied?.versions.map(({ version }) => version) ?? [],
    default: applied && soleVersion(applied),
    at: at.toISOString(),
    leaseMs: edgeLeaseMs,
    endpoints: applied?.versions.reduce((sum, { endpoints }) => sum + endpoints.length, 0) ?? 0,
    heldBack,
    problems,
  };
}
