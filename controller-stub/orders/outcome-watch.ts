import type { HostStatus } from "../../protocol/host-status.ts";
import { hostToken } from "../../protocol/names.ts";
import type { Bus } from "../bus.ts";
import { type HostFailure, OrderNotDoneError } from "../errors.ts";
import { followStatuses } from "../host-reports.ts";
import { lastingFor } from "../lasting.ts";
import { type AwaitedOrder, type OrderVerdict, outcomeOf } from "./outcome.ts";

/** Follows the hosts from before an order is put until each of them has an outcome for it. */
export class OutcomeWatch {
  /** Latest status per host, by the host's form in keys, since that is all that an order is addressed to. */
  private readonly statuses = new Map<string, HostStatus>();
  private readonly before = new Map<string, string | undefined>();
  private onStatus: (status: HostStatus) => void = () => {};
  private end: () => void = () => {};

  private constructor(private readonly bus: Bus) {}

  static async start(
    bus: Bus,
    { service, slot }: { service: string; slot: string },
    onMalformed: (key: string, why: string) => void,
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
      const look = () => {
        for (const host of hosts) {
          const status = this.statuses.get(hostToken(host));
          const verdict = status && outcomeOf(order, status, this.before.get(hostToken(host)));
          if (verdict && !verdicts.has(host)) verdicts.set(host, verdict);
        }
        if (verdicts.size === hosts.length) resolve();
      };
      this.onStatus = (status) => {
        onStatus(status);
        look();
      };
      // A host may have answered already, while the order was being put for others.
      for (const status of this.statuses.values()) onStatus(status);
      look();
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
