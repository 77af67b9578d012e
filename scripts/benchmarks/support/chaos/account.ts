import type { SeenFailure } from "../../../../test/support/users/tally.ts";
import type { FaultKind } from "./plan-faults.ts";

/** A fault that was inflicted. Times are of the system's clock. */
export interface Outage {
  kind: FaultKind;
  victim: string;
  /** Just before the signal. */
  killedAt: number;
  /** When its successor was up: it answers, or accepts connections. */
  upAt: number;
}

/** What a user saw at what time, by the system's clock. */
export type TimedFailure = SeenFailure;

export interface Account {
  /** Connections that a killed proxy held, and were cut by its end. */
  cutByProxy: TimedFailure[];
  /** Connections that were refused while no proxy was there to accept them. */
  refusedByProxy: TimedFailure[];
  /** All other failures, each with its cause. */
  failed: { cause: string; failure: TimedFailure }[];
}

/** What was killed so recently may still be the cause. */
const AFTERMATH_MS = 5_000;
const REFUSED = "ECONNREFUSED";
const CUT = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED"]);

/**
 * Sorts failures by what they are due to. A killed proxy is the only excuse, and only for connections: those that it
 * held, and those that nobody was there to accept. An answer that says 503 is never excused.
 * @param proxies the kinds of process whose end is the end of a proxy
 */
export function accountFor(
  failures: readonly TimedFailure[],
  outages: readonly Outage[],
  proxies: readonly FaultKind[] = ["proxy"],
): Account {
  const account: Account = { cutByProxy: [], refusedByProxy: [], failed: [] };
  const gone = outages.filter(({ kind }) => proxies.includes(kind));
  for (const failure of failures) {
    if (gone.some((outage) => refusedIn(failure, outage))) account.refusedByProxy.push(failure);
    else if (gone.some((outage) => cutBy(failure, outage))) account.cutByProxy.push(failure);
    else account.failed.push({ cause: causeOf(failure, outages), failure });
  }
  return account;
}

function refusedIn({ code, fromMs, toMs }: TimedFailure, { killedAt, upAt }: Outage): boolean {
  return code === REFUSED && fromMs <= upAt && toMs >= killedAt;
}

/**
 * What was opened before the successor was up can only have been held by the process that was killed. One that was
 * still in that process's queue is reset before its client knows that it is open.
 */
function cutBy({ code, fromMs, openedMs, toMs }: TimedFailure, { killedAt, upAt }: Outage): boolean {
  return CUT.has(code) && (openedMs ?? fromMs) <= upAt && toMs >= killedAt;
}

/** The kind of error, and what was away, or had just come back, while the request was under way. */
function causeOf({ what, fromMs, toMs }: TimedFailure, outages: readonly Outage[]): string {
  const names = (holds: (outage: Outage) => boolean) => [
    ...new Set(
      outages
        .filter(holds)
        .map(({ kind }) => kind)
        .sort(),
    ),
  ];
  const away = names(({ killedAt, upAt }) => fromMs <= upAt && toMs >= killedAt);
  const back = names(({ upAt }) => fromMs > upAt && fromMs <= upAt + AFTERMATH_MS).filter(
    (kind) => !away.includes(kind),
  );
  const parts = [
    ...(away.length > 0 ? [`${away.join(" and ")} away`] : []),
    ...(back.length > 0 ? [`${back.join(" and ")} just back`] : []),
  ];
  return `${what} × ${parts.join(", ") || "no fault"}`;
}

/** How many there are of each cause, the most frequent first. */
export function countByCause(failed: Account["failed"]): [cause: string, count: number][] {
  const counts = new Map<string, number>();
  for (const { cause } of failed) counts.set(cause, (counts.get(cause) ?? 0) + 1);
  return [...counts].sort(([, one], [, other]) => other - one);
}
