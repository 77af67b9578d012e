import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { HostStatus } from "../../../../protocol/host-status.ts";
import { hostToken } from "../../../../protocol/names.ts";
import type { Order } from "../../../../protocol/order.ts";
import { isStale, reportAgeMs } from "../../../hosts.ts";
import { formatAge } from "../../../terminal/render.ts";
import { hostVerdict, type Ordered } from "../../decisions/host-verdict.ts";
import { DeployHaltedError, type FailedHost } from "../../deploy-errors.ts";
import type { DeployContext } from "../deploy-context.ts";
import { listSome } from "../../show/deploy-report.ts";

/** The orders that one host gets, one after the other. */
export interface HostTask {
  host: string;
  orders: { slot: string; order: Order }[];
  /** Whether its outcome is waited for. */
  awaited: boolean;
  /** Whether the last order is in the bucket already, from an earlier run. */
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
 * Gives orders to hosts in waves, and watches what becomes of them: also on the hosts of earlier waves, whose version may fail later.
 * One failure more than is allowed ends it.
 */
export class Rollout {
  private readonly halt = new AbortController();
  private readonly watched = new Map<string, { ordered: Ordered; settle: (isDone: boolean) => void }>();
  private readonly failureByHost = new Map<string, FailedHost>();
  private readonly unfollow: () => void;
  /** Aborted with a DeployHaltedError when too many hosts have failed, and when the run ends. */
  readonly signal: AbortSignal;

  constructor(
    private readonly work: DeployContext,
    private readonly options: RolloutOptions,
  ) {
    this.signal = AbortSignal.any([work.bus.signal, this.halt.signal]);
    // Every host of a wave listens.
    setMaxListeners(0, this.signal);
    for (const failed of options.failed ?? []) this.failureByHost.set(failed.host, failed);
    this.haltIfTooMany();
    this.unfollow = work.fleet.changes.onChange((status) => this.judge(hostToken(status.host), status));
  }

  /** The hosts that failed, and were few enough. */
  get failures(): FailedHost[] {
    return [...this.failureByHost.values()];
  }

  stop(): void {
    this.unfollow();
  }

  /** Goes on watching a host whose order was done in an earlier run. */
  watch(host: string, slot: string, order: Order): void {
    this.expect(host, { slot, order, before: undefined }).catch(() => {});
  }

  /** @throws DeployHaltedError as soon as too many hosts have failed, or had no outcome in time */
  async run(waves: readonly HostTask[][]): Promise<void> {
    for (const [at, tasks] of waves.entries()) {
      await this.wave(tasks, at + 1, waves.length);
      const { pauseMs } = this.options;
      // The operator wants to look at a wave before the next one begins; failures of its hosts end the pause.
      if (pauseMs > 0 && at + 1 < waves.length)
        await sleep(pauseMs, undefined, { signal: this.signal }).catch(() => {});
      this.signal.throwIfAborted();
    }
  }

  private async wave(tasks: readonly HostTask[], number: number, of: number): Promise<void> {
    const waiting = new Set(tasks.filter((task) => task.awaited).map((task) => task.host));
    const hosts = waiting.size;
    const show = () =>
      this.work.report.wave({ number, of, hosts, waiting: [...waiting].map((host) => this.named(host)) });
    const { waveMs } = this.work.bounds;
    const timer = setTimeout(() => {
      for (const host of waiting) this.late(host, waveMs);
    }, waveMs);
    const each = async (task: HostTask) => {
      await this.perform(task);
      if (waiting.delete(task.host)) show();
    };
    show();
    try {
      await Promise.all(tasks.map(each));
    } finally {
      clearTimeout(timer);
    }
  }

  private async perform({ host, orders, awaited, given = false }: HostTask): Promise<void> {
    for (const [at, { slot, order }] of orders.entries()) {
      this.signal.throwIfAborted();
      const before = this.work.fleet.statusOf(host)?.slots[slot]?.order?.id;
      if (!given || at < orders.length - 1) await this.work.orders.put(host, slot, order);
      if (at === orders.length - 1 && awaited) this.options.onOrdered?.(host);
      if (awaited && !(await this.expect(host, { slot, order, before: before === order.id ? undefined : before })))
        return;
    }
    if (awaited) this.options.onDone?.(host);
  }

  /** Whether the order is done, once that is known. */
  private expect(host: string, ordered: Ordered): Promise<boolean> {
    return new Promise((resolve, reject) => {
      if (this.signal.aborted) return reject(this.signal.reason);
      // Its time was over before its order was put.
      if (this.failureByHost.has(host)) return resolve(false);
      const abort = () => reject(this.signal.reason);
      this.signal.addEventListener("abort", abort, { once: true });
      const settle = (isDone: boolean) => {
        this.signal.removeEventListener("abort", abort);
        resolve(isDone);
      };
      const token = hostToken(host);
      this.watched.set(token, { ordered, settle });
      const status = this.work.fleet.statusOf(host);
      if (status) this.judge(token, status);
    });
  }

  private judge(token: string, status: HostStatus): void {
    const watched = this.watched.get(token);
    if (watched === undefined) return;
    const verdict = hostVerdict(watched.ordered, status);
    if (verdict.kind === "done") watched.settle(true);
    if (verdict.kind !== "failed") return;
    const { code, message } = verdict;
    this.fail({ host: status.host, slot: watched.ordered.slot, code, message: message.slice(0, 512) });
  }

  private late(host: string, waitedMs: number): void {
    const slot = this.watched.get(hostToken(host))?.ordered.slot ?? "-";
    this.fail({
      host,
      slot,
      code: "WAIT_TIMEOUT",
      message: `no outcome within ${waitedMs} ms; ${this.lastSeen(host)}`,
    });
  }

  private fail(failed: FailedHost): void {
    const token = hostToken(failed.host);
    const watched = this.watched.get(token);
    this.watched.delete(token);
    this.failureByHost.set(failed.host, failed);
    this.options.onFailed?.(failed);
    this.work.report.failed(failed);
    this.haltIfTooMany();
    watched?.settle(false);
  }

  private haltIfTooMany(): void {
    if (this.failureByHost.size > this.options.maxFailures) this.halt.abort(halted(this.failures));
  }

  private named(host: string): string {
    const status = this.work.fleet.statusOf(host);
    return status && !isStale(status, Date.now()) ? host : `${host} (${this.lastSeen(host)})`;
  }

  private lastSeen(host: string): string {
    const status = this.work.fleet.statusOf(host);
    return status ? `it reported ${formatAge(reportAgeMs(status, Date.now()))} ago` : "it has never reported";
  }
}

function halted(failures: readonly FailedHost[]): DeployHaltedError {
  const isLate = failures.every(({ code }) => code === "WAIT_TIMEOUT");
  const texts = failures.map(({ host, slot, code, message }) => `${host} slot ${slot}: ${code}: ${message}`);
  return new DeployHaltedError(isLate ? "WAIT_TIMEOUT" : "HOSTS_FAILED", listSome(texts).slice(0, 2000), { failures });
}
