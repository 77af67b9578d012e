import { type EdgeRequirement, type MissingEdge, missingEdges } from "../../decisions/missing-edges.ts";
import { type ExpectedMember, missingMembers } from "../../decisions/missing-members.ts";
import { DeployHaltedError } from "../../deploy-errors.ts";
import { untilChange } from "../watch/change-signal.ts";
import type { DeployContext } from "../deploy-context.ts";
import { listSome } from "../../show/deploy-report.ts";
import { highestRevision, KnownMembers, slotId } from "../watch/known-edges.ts";

/**
 * Waits until every edge runs with what is needed.
 * @throws DeployHaltedError naming the edges that do not when the time is over
 */
export async function edgesBarrier(
  work: DeployContext,
  need: EdgeRequirement,
  without: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { edges, report, bounds } = work;
  const began = performance.now();
  let missing: MissingEdge[] = [];
  const look = () => {
    missing = missingEdges(edges.all, need, without);
    if (missing.length > 0) report.waitingForEdges(missing);
    return missing.length === 0 || undefined;
  };
  const passed = await untilChange(edges.changes, look, { timeoutMs: bounds.barrierMs, signal });
  if (!passed) throw edgesMissing(missing, bounds.barrierMs);
  const counted = edges.all.filter(({ edge }) => !without.includes(edge)).length;
  if (counted === 0) report.warn("no edge is known: nobody was waited for, and who routes by what is not known");
  for (const { edge, status } of edges.all) {
    if (status && status.heldBack > 0)
      report.warn(`${edge} holds ${status.heldBack} endpoints back that are gone from the serverset`);
    for (const { code, message, key } of status?.problems ?? [])
      report.warn(`${edge} reports ${code}: ${message}${key === undefined ? "" : ` (${key})`}`);
  }
  const ms = Math.round(performance.now() - began);
  report.passed({ routes: need.routes, serversets: need.serversets, edges: counted, ms });
}

function edgesMissing(missing: readonly MissingEdge[], waitedMs: number): DeployHaltedError {
  const each = missing.map(
    ({ edge, why, lastSeen }) => `${edge} ${why}${lastSeen ? `, last reported ${lastSeen}` : ""}`,
  );
  return new DeployHaltedError(
    "EDGES_MISSING",
    `not acknowledged within ${waitedMs} ms: ${each.join("; ")}; mend the edge and \`resume\`, or go on with ` +
      "`resume --without-edge NAME` if it routes nothing any more",
    { missing },
  );
}

/**
 * Waits until each of these slots has a member that edges send requests to.
 * @returns the highest KV revision of these members; 0 without any
 * @throws DeployHaltedError naming the hosts that have none when the time is over
 */
export async function membersBarrier(
  work: DeployContext,
  expected: readonly ExpectedMember[],
  signal: AbortSignal,
): Promise<number> {
  if (expected.length === 0) return 0;
  const { bus, service, report, bounds } = work;
  const members = await KnownMembers.follow(bus, service);
  try {
    let missing = missingMembers(members.all, expected);
    const look = () => {
      missing = missingMembers(members.all, expected);
      if (missing.length > 0) report.waitingForMembers(missing);
      return missing.length === 0 || undefined;
    };
    const there = await untilChange(members.changes, look, { timeoutMs: bounds.barrierMs, signal });
    if (!there) {
      const texts = missing.map(({ host, why }) => `${host} ${why}`);
      const message = `not in the serverset within ${bounds.barrierMs} ms: ${listSome(texts)}`;
      throw new DeployHaltedError("MEMBERS_MISSING", message, { missing });
    }
  } finally {
    members.stop();
  }
  const ids = new Set(expected.map(({ host, slot }) => slotId(host, slot)));
  return highestRevision(bus, service, ids, members.all);
}
