import type { HostProgress, RunningDeploy } from "../../../protocol/deploy.ts";
import type { HostStatus } from "../../../protocol/host-status.ts";
import type { Order } from "../../../protocol/order.ts";
import { isStale } from "../../hosts.ts";
import { isOrderOf } from "./draft-orders.ts";
import { hostVerdict } from "./host-verdict.ts";

/** What is known of the hosts as a run begins. */
export interface Knowledge {
  statusOf(host: string): HostStatus | undefined;
  latestOrder(host: string, slot: string): Order | null;
  now: number;
}

type Hosts = RunningDeploy["hosts"];

/**
 * The hosts as a resumed deploy begins. Those that failed are tried again, even if their failure was not recorded.
 * Those that were only late are waited for again. Those that do not report are excluded, if that is wanted.
 */
export function resumeHosts(
  { id, hosts }: Pick<RunningDeploy, "id" | "hosts">,
  known: Knowledge,
  { excludeAbsent }: { excludeAbsent: boolean },
): Hosts {
  return mapHosts(hosts, (host, { error, ...progress }) => {
    const status = known.statusOf(host);
    const order = known.latestOrder(host, progress.slot);
    const isGiven = isOrderOf(id, order);
    const failed = isGiven && hostVerdict({ slot: progress.slot, order, before: undefined }, status).kind === "failed";
    if (progress.step === "done") return failed ? { ...progress, step: "waiting" } : progress;
    if (progress.step === "excluded") return progress;
    if (excludeAbsent && (status === undefined || isStale(status, known.now))) return { ...progress, step: "excluded" };
    const isLate = progress.step === "failed" && error?.code === "WAIT_TIMEOUT";
    const isUnderWay = isGiven && !failed && (isLate || progress.step === "ordered");
    return { ...progress, step: isUnderWay ? "ordered" : "waiting" };
  });
}

/** Hosts that failed but now have what was ordered are done; nothing else changes. */
export function recoveredHosts({ id, hosts }: Pick<RunningDeploy, "id" | "hosts">, known: Knowledge): Hosts {
  return mapHosts(hosts, (host, progress) => {
    const { slot, step, error: _, ...rest } = progress;
    const order = known.latestOrder(host, slot);
    if (step !== "failed" || !isOrderOf(id, order)) return progress;
    const { kind } = hostVerdict({ slot, order, before: undefined }, known.statusOf(host));
    return kind === "done" ? { ...rest, slot, step: "done" } : progress;
  });
}

/**
 * The hosts that a rollback has to undo something on: those with an order of the deploy, whether that was recorded or
 * not.
 */
export function touchedHosts(
  { id, hosts }: Pick<RunningDeploy, "id" | "hosts">,
  known: Knowledge,
  { excludeAbsent }: { excludeAbsent: boolean },
): Hosts {
  const touched = Object.entries(hosts).filter(([host, { slot }]) => isOrderOf(id, known.latestOrder(host, slot)));
  return mapHosts(Object.fromEntries(touched), (host, { error: _, ...progress }) => {
    const status = known.statusOf(host);
    const absent = status === undefined || isStale(status, known.now);
    const excluded = absent && (excludeAbsent || progress.step === "excluded");
    return { ...progress, step: excluded ? "excluded" : "waiting" };
  });
}

function mapHosts(hosts: Hosts, change: (host: string, progress: HostProgress) => HostProgress): Hosts {
  return Object.fromEntries(Object.entries(hosts).map(([host, progress]) => [host, change(host, progress)]));
}
