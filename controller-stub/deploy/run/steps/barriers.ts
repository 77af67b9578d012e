import { type EdgeRequirement, type MissingEdge, missingEdges } from "../../decisions/missing-edges.ts";
import { type ExpectedMember, missingMembers, slotId } from "../../decisions/missing-members.ts";
import { DeployHaltedError } from "../../deploy-errors.ts";
import { listSome } from "../../show/list-some.ts";
import type { DeployContext } from "../deploy-context.ts";
import { untilChange } from "../watch/change-signal.ts";
import { FollowedMembers } from "../watch/followed-members.ts";

/**
 * Waits until every edge has applied what is needed.
 * @throws DeployHaltedError naming the edges that have not when the time is over, or at once those that refuse the
 * routes
 */
export async function edgesBarrier(
  context: DeployContext,
  need: EdgeRequirement,
  without: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { edges, report, bounds } = context;
  const began = performance.now();
  const firstReports = new Map<string, string>();
  let missing: MissingEdge[] = [];
  const check = () => {
    for (const { edge, status } of edges.all) if (status && !firstReports.has(edge)) firstReports.set(edge, status.at);
    missing = missingEdges(edges.all, need, without, firstReports);
    if (missing.some(({ refusal }) => refusal !== undefined)) throw edgesRefused(missing);
    if (missing.length > 0) report.waitingForEdges(missing);
    return missing.length === 0 || undefined;
  };
  const passed = await untilChange(edges.changes, check, { timeoutMs: bounds.barrierMs, signal });
  if (!passed) throw edgesMissing(missing, bounds.barrierMs);
  warnOfEdges(context);
  const counted = edges.all.filter(({ edge }) => !without.includes(edge)).length;
  if (counted === 0) report.warn("no edge is known, so the deploy waited for none: where users are routed is unknown");
  const ms = Math.round(performance.now() - began);
  report.barrierPassed({ routes: need.routes, serversets: need.serversets, edges: counted, ms });
}

function warnOfEdges({ edges, report }: DeployContext): void {
  for (const { edge, status } of edges.all) {
    if (status && status.heldBack > 0)
      report.warn(`${edge} holds ${status.heldBack} endpoints back that are gone from the serverset`);
    for (const { code, message, key } of status?.problems ?? [])
      report.warn(`${edge} reports ${code}: ${message}${key === undefined ? "" : ` (${key})`}`);
  }
}

function edgesMissing(missing: readonly MissingEdge[], waitedMs: number): DeployHaltedError {
  const each = missing.map(
    ({ edge, why, lastSeen }) => `${edge}: ${why}${lastSeen ? `, last reported ${lastSeen}` : ""}`,
  );
  return new DeployHaltedError(
    "EDGES_MISSING",
    `not acknowledged within ${waitedMs} ms: ${each.join("; ")}; fix the edge and \`resume\`, or, if it routes nothing ` +
      "any more, `resume --without-edge NAME`",
    { missing },
  );
}

function edgesRefused(missing: readonly MissingEdge[]): DeployHaltedError {
  const refusing = missing.filter(({ refusal }) => refusal !== undefined);
  const each = refusing.map(({ edge, refusal }) => `${edge}: ${refusal}`);
  return new DeployHaltedError(
    "EDGES_REFUSED",
    `an edge will not apply these routes: ${each.join("; ")}; fix the edge and \`resume\`, or \`rollback\``,
    { missing },
  );
}

/**
 * Waits until each of these slots has a member that edges send requests to.
 * @returns the highest KV revision of these members; 0 without any
 * @throws DeployHaltedError naming the hosts that have none when the time is over
 */
export async function membersBarrier(
  { bus, service, report, bounds }: DeployContext,
  expected: readonly ExpectedMember[],
  signal: AbortSignal,
): Promise<number> {
  if (expected.length === 0) return 0;
  const members = await FollowedMembers.follow(bus, service);
  try {
    let missing = missingMembers(members.all, expected);
    const check = () => {
      missing = missingMembers(members.all, expected);
      if (missing.length > 0) report.waitingForMembers(missing);
      return missing.length === 0 || undefined;
    };
    const passed = await untilChange(members.changes, check, { timeoutMs: bounds.barrierMs, signal });
    if (!passed) {
      const texts = missing.map(({ host, why }) => `${host}: ${why}`);
      const message = `not in the serverset within ${bounds.barrierMs} ms: ${listSome(texts)}`;
      throw new DeployHaltedError("MEMBERS_MISSING", message, { missing });
    }
  } finally {
    members.stop();
  }
  return members.highestRevision(new Set(expected.map(({ host, slot }) => slotId(host, slot))));
}
