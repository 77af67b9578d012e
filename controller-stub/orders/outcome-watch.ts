import type { BusSession } from "../../bus/session.ts";
import type { HostStatus } from "../../protocol/host-status.ts";
import { hostToken } from "../../protocol/names.ts";
import { type HostFailure, OrderNotDoneError } from "../errors.ts";
import { followStatuses } from "../host-reports.ts";
import { lastingFor } from "../lasting.ts";
import type { OnMalformed } from "../values/malformed.ts";
import { type AwaitedOrder, type OrderVerdict, outcomeOf } from "./outcome.ts";

/** Follows the hosts, from before an order is put until each has an outcome for it. */
export class OutcomeWatch {
  /** The latest status of each host, by the host's form in keys, which is how orders address it. */
  private readonly statuses = new Map<string, HostStatus>();
  private readonly before = new Map<string, string | undefined>();
  private onStatus: (status: HostStatus) => void = () => {};
  private end: () => void = () => {};

  private constructor(private readonly bus: BusSession) {}

  static async start(
    bus: BusSession,
    { service, slot }: { service: string; slot: string },
    onMalformed: OnMalformed,
  ): Promise<OutcomeWatch> {
    const watch = new OutcomeWatch(bus);
    const hear = (status: HostStatus) => {
      watch.statuses.set(hostToken(status.host), status);
      watch.onStatus(status);
    };
    watch.end = await followStatuses(bus, service, hear, onMalformed);
    for (const [host, status] of watch.statuses) watch.before.set(host, status.slots[slot]?.order?.id);
    return watch;
  }

  /**
   * Waits until the order is done on every host.
   * @throws OrderNotDoneError once every host has an outcome and some other than done, or when the time is over.
   */
  async finish(
    order: AwaitedOrder,
    hosts: readonly string[],
    timeoutMs: number,
    onStatus: (status: HostStatus) => void,
  ): Promise<void> {
    const verdicts = new Map<string, OrderVerdict>();
    const settled = new Promise<void>((resolve) => {
      const check = () => {
        for (const host of hosts) {
          const status = this.statuses.get(hostToken(host));
          const verdict = status && outcomeOf(order, status, this.before.get(hostToken(host)));
          if (verdict && !verdicts.has(host)) verdicts.set(host, verdict);
        }
        if (verdicts.size === hosts.length) resolve();
      };
      this.onStatus = (status) => {
        onStatus(status);
        check();
      };
      // A host may have answered already, while the order was being put for others.
      for (const status of this.statuses.values()) onStatus(status);
      check();
    });
    await lastingFor(this.bus, timeoutMs, settled);
    const missing = hosts.filter((host) => !verdicts.has(host));
    const failures = hosts.flatMap((host) => failure(host, verdicts.get(host)));
    if (missing.length + failures.length > 0) throw new OrderNotDoneError(order.id, failures, missing, timeoutMs);
  }

  stop(): void {
    this.end();
  }
}

function failure(host: string, verdict: OrderVerdict | undefined): HostFailure[] {
  if (verdict === undefined || verdict.outcome === "done") return [];
  const { outcome, error } = verdict;
  return [
    { host, outcome, code: error?.code ?? outcome.toUpperCase(), message: error?.message ?? "no reason was given" },
  ];
}
