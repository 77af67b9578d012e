import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Order } from "../../../../protocol/order.ts";
import { isStale, reportAgeMs } from "../../../hosts.ts";
import { formatAge } from "../../../terminal/render.ts";
import { DeployHaltedError, type FailedHost } from "../../deploy-errors.ts";
import { listSome } from "../../show/list-some.ts";
import type { DeployContext } from "../deploy-context.ts";
import { HostWatch } from "./host-watch.ts";

/** The orders that one host gets, one after the other. */
export interface HostTask {
  host: string;
  orders: { slot: string; order: Order }[];
  /** Whether its outcome is waited for. */
  awaited: boolean;
  /** Whether the last order is already in the bucket, from an earlier run. */
  given?: boolean;
}

export interface RolloutOptions {
  /** This many hosts may fail. */
  maxFailures: number;
  pauseMs: number;
  /** Hosts that failed in an earlier run, and count. */
  failed?: readonly FailedHost[];
  onOrdered?(host: string): void;
  onDone?(host: string): void;
  onFailed?(failed: FailedHost): void;
}

/**
 * Gives orders to hosts in waves, and watches what becomes of them, also on the hosts of earlier waves. It halts as
 * soon as more hosts have failed than may.
 */
export class Rollout {
  private readonly halt = new AbortController();
  private readonly failureByHost = new Map<string, FailedHost>();
  private readonly watch: HostWatch;
  /** Aborted with a DeployHaltedError when too many hosts have failed, and when the run ends. */
  readonly signal: AbortSignal;

  constructor(
    private readonly context: DeployContext,
    private readonly options: RolloutOptions,
  ) {
    this.signal = AbortSignal.any([context.bus.signal, this.halt.signal]);
    // Every host of a wave listens.
    setMaxListeners(0, this.signal);
    for (const failed of options.failed ?? []) this.failureByHost.set(failed.host, failed);
    this.haltIfTooMany();
    this.watch = new HostWatch(context.fleet, this.signal, (failed) => this.fail(failed));
  }

  /** The hosts that failed, and were few enough. */
  get failures(): FailedHost[] {
    return [...this.failureByHost.values()];
  }

  stop(): void {
    this.watch.stop();
  }

  /** Keeps watching a host whose order was done in an earlier run. */
  keepWatching(host: string, slot: string, order: Order): void {
    this.watch.expect(host, { slot, order, before: undefined }).catch(() => {});
  }

  /** @throws DeployHaltedError as soon as too many hosts have failed, or had no outcome in time */
  async run(waves: readonly HostTask[][]): Promise<void> {
    for (const [at, tasks] of waves.entries()) {
      await this.runWave(tasks, at + 1, waves.length);
      const { pauseMs } = this.options;
      // The operator wants to look at a wave before the next one begins; failures of its hosts end the pause.
      if (pauseMs > 0 && at + 1 < waves.length)
        await sleep(pauseMs, undefined, { signal: this.signal }).catch(() => {});
      this.signal.throwIfAborted();
    }
  }

  private async runWave(tasks: readonly HostTask[], number: number, of: number): Promise<void> {
    const { report, bounds } = this.context;
    const waiting = new Set(tasks.filter((task) => task.awaited).map((task) => task.host));
    const hosts = waiting.size;
    const show = () =>
      report.waveProgress({ number, of, hosts, waiting: [...waiting].map((host) => this.nameWithAge(host)) });
    const timer = setTimeout(() => {
      for (const host of waiting) this.failLate(host, bounds.waveMs);
    }, bounds.waveMs);
    const perform = async (task: HostTask) => {
      await this.perform(task);
      if (waiting.delete(task.host)) show();
    };
    show();
    try {
      await Promise.all(tasks.map(perform));
    } finally {
      clearTimeout(timer);
    }
  }

  private async perform({ host, orders, awaited, given = false }: HostTask): Promise<void> {
    for (const [at, { slot, order }] of orders.entries()) {
      this.signal.throwIfAborted();
      const before = this.context.fleet.statusOf(host)?.slots[slot]?.order?.id;
      const isLast = at === orders.length - 1;
      if (!given || !isLast) await this.context.orders.put(host, slot, order);
      if (isLast && awaited) this.options.onOrdered?.(host);
      if (!awaited) continue;
      this.signal.throwIfAborted();
      // Its time may be over before its order was put.
      if (this.failureByHost.has(host)) return;
      const isDone = await this.watch.expect(host, { slot, order, before: before === order.id ? undefined : before });
      if (!isDone) return;
    }
    if (awaited) this.options.onDone?.(host);
  }

  private failLate(host: string, waitedMs: number): void {
    const message = `no outcome within ${waitedMs} ms; ${this.lastReport(host)}`;
    this.fail({ host, slot: this.watch.slotOf(host) ?? "-", code: "WAIT_TIMEOUT", message });
  }

  private fail(failed: FailedHost): void {
    const settle = this.watch.drop(failed.host);
    this.failureByHost.set(failed.host, failed);
    this.options.onFailed?.(failed);
    this.context.report.hostFailed(failed);
    this.haltIfTooMany();
    settle();
  }

  private haltIfTooMany(): void {
    if (this.failureByHost.size > this.options.maxFailures) this.halt.abort(haltedBy(this.failures));
  }

  private nameWithAge(host: string): string {
    const status = this.context.fleet.statusOf(host);
    return status && !isStale(status, Date.now()) ? host : `${host} (${this.lastReport(host)})`;
  }

  private lastReport(host: string): string {
    const status = this.context.fleet.statusOf(host);
    return status ? `it reported ${formatAge(reportAgeMs(status, Date.now()))} ago` : "it has never reported";
  }
}

function haltedBy(failures: readonly FailedHost[]): DeployHaltedError {
  const isLate = failures.every(({ code }) => code === "WAIT_TIMEOUT");
  const texts = failures.map(({ host, slot, code, message }) => `${host} slot ${slot}: ${code}: ${message}`);
  return new DeployHaltedError(isLate ? "WAIT_TIMEOUT" : "HOSTS_FAILED", listSome(texts).slice(0, 2000), { failures });
}
