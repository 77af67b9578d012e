import type { Logger } from "pino";
import { ConnectionCounter } from "../drain/connection-counter.ts";
import type { ConnectionsSeen } from "../drain/drain.ts";
import type { KeptSeen } from "./end/end-all.ts";
import type { Front } from "./front.ts";
import type { WorkerSpec } from "./process/spec.ts";
import type { Worker } from "./process/worker.ts";
import { AcceptWatcher } from "./watch/accept-watcher.ts";
import { HealthProbe } from "./watch/health.ts";
import { describeProbe, probeAddress } from "./watch/probe.ts";
import { WorkerMonitor } from "./watch/worker-monitor.ts";

interface PoolWatchCallbacks {
  /** It hangs or is unhealthy: it must be killed and started again. */
  onIll(worker: Worker, why: "hung" | "unhealthy"): void;
  /** It is due to be replaced, once its replacement is up. */
  onWorn(worker: Worker, why: string): void;
  /** The number of ready workers, or what they report, may have changed. */
  onChange(): void;
}

/** Watches a pool's workers: the slot's probe, who accepts, and what each of them reports. */
export class PoolWatch {
  readonly health: HealthProbe;
  /** Connections to the workers, except for the agent's own probes. */
  readonly connections: ConnectionCounter;
  private readonly probeTimeoutMs: number;
  private readonly acceptWatcher: AcceptWatcher;
  private readonly monitor: WorkerMonitor<Worker>;

  constructor(
    { config, port }: WorkerSpec,
    private readonly front: Front,
    private readonly workers: ReadonlySet<Worker>,
    callbacks: PoolWatchCallbacks,
    log: Logger,
  ) {
    this.acceptWatcher = new AcceptWatcher(
      workers,
      (pids) => front.accepting(pids),
      () => this.health.healthy,
      () => callbacks.onChange(),
    );
    this.probeTimeoutMs = config.health.timeout_ms;
    this.monitor = new WorkerMonitor(workers, config, callbacks);
    this.health = new HealthProbe({ host: probeAddress(config.bind), port }, config.health, (changed) => {
      if (!changed) return;
      log.info({ healthy: this.health.healthy, probe: this.health.last }, "health changed");
      // A worker that can't be seen to accept is known by the probe: both become known together.
      this.acceptWatcher.observeWorkers();
      callbacks.onChange();
    });
    const openScan: Front["openScan"] = (visit) => front.openScan(visit);
    this.connections = new ConnectionCounter(openScan, this.health.connections, config.drain.quiet_ms);
  }

  start(): void {
    this.checkNow();
    this.health.start();
  }

  /** Checks the workers now, for example since one was started. */
  checkNow(): void {
    this.acceptWatcher.observeWorkers();
    this.monitor.checkWorkers();
  }

  /** Finds out now who accepts, and which adopted workers have ended. */
  observeWorkers(): void {
    this.acceptWatcher.observeWorkers();
  }

  /** The slot's last probe, and what the workers still have to report. */
  describeReadiness(): string {
    const lacking = [...this.workers].flatMap(({ number, notify }) =>
      notify?.lacks ? `worker ${number} ${notify.lacks}` : [],
    );
    return [describeProbe(this.health.last), ...lacking.slice(0, 3)].join("; ");
  }

  /**
   * Looks at the connections now. Those in the queue wait for nothing if the slot is unhealthy, and the oldest of them
   * has waited for longer than a probe may take.
   */
  async lookAtConnections(): Promise<ConnectionsSeen> {
    const { open, busy, queued, queuedMs } = await this.connections.count();
    const { known, healthy } = this.health;
    const unaccepted = known && !healthy && queuedMs >= this.probeTimeoutMs ? queued : 0;
    return { open, busy, unaccepted, restMs: this.connections.restMs };
  }

  /** Looks at the connections that workers keep open after their stop signal. */
  async lookAtKept(): Promise<KeptSeen> {
    const { accepted } = await this.connections.count();
    return { open: accepted, heeded: this.front.isFree, restMs: this.connections.restMs };
  }

  /** No more probes. The ends of adopted workers are still noticed. */
  stopProbe(): void {
    this.health.stop();
  }

  stop(): void {
    this.health.stop();
    this.acceptWatcher.stop();
    this.monitor.stop();
  }
}
