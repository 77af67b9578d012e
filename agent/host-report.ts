import type { Logger } from "pino";
import type { BusConnection } from "../bus/connection.ts";
import { KeyPublisher } from "../bus/key-publisher.ts";
import { Throttle } from "../daemon/throttle.ts";
import { programVersion } from "../daemon/version.ts";
import type { SlotdError } from "../protocol/errors.ts";
import type { HostStatus, SlotStatus, WireError } from "../protocol/host-status.ts";
import { buckets, keys } from "../protocol/subjects.ts";
import type { Config } from "./config/schema.ts";
import { hostFigures } from "./host-figures.ts";
import { HostName } from "./host-name.ts";
import { bootId } from "./os/process.ts";

/** Changes in quick succession are published together. */
const GAP_MS = 200;

/**
 * What the agent says of its host: the status, as asked for and as published on the bus, and a line for `systemctl
 * status`.
 */
export class HostReport {
  /** The cgroup v2 controllers that enforce limits; null where no cgroup was delegated. */
  controllers: string[] | null = null;
  private readonly publisher: KeyPublisher;
  private readonly name: HostName;
  private readonly startedAt = new Date().toISOString();
  private readonly warnings = new Set<string>();
  private lastError: WireError | null = null;
  private load: HostStatus["load"] = null;
  private begun = false;
  private readonly publishing = new Throttle(() => this.publishNow(), GAP_MS);

  constructor(
    private readonly config: Config,
    private readonly bus: BusConnection,
    private readonly slots: () => Record<string, SlotStatus>,
    /** Warnings that hold as long as their cause. */
    private readonly passing: () => string[],
    /** Gets the summary line each time the status is published. */
    private readonly onPublish: (summary: string) => void,
    /** Another agent writes this host's status, too. */
    onTaken: (error: SlotdError) => void,
    log: Logger,
  ) {
    const key = keys.host(config.service, config.host);
    this.name = new HostName(`${buckets.hosts} ${key}`, { pid: process.pid, startedAt: this.startedAt }, onTaken);
    const onForeign = (text: string) => this.name.hear(text, performance.now());
    this.publisher = new KeyPublisher(bus, buckets.hosts, key, log, { onForeign });
  }

  status(): HostStatus {
    const { service, stage, host } = this.config;
    const { connected, server, since, error } = this.bus;
    return {
      service,
      stage,
      host,
      agentVersion: programVersion,
      pid: process.pid,
      bootId: bootId(),
      startedAt: this.startedAt,
      observedAt: new Date().toISOString(),
      bus: { connected, server, since, error },
      controllers: this.controllers,
      load: this.load,
      slots: this.slots(),
      warnings: [...this.warnings, ...this.passing()],
      lastError: this.name.problem(performance.now()) ?? this.lastError,
    };
  }

  /** Keeps an error that belongs to no slot. */
  noteError(error: SlotdError): void {
    this.lastError = { ...error.toWire(), at: new Date().toISOString() };
  }

  /** Keeps a sentence about something that works, but not as configured: `what it is; what to do`. */
  addWarning(warning: string): void {
    this.warnings.add(warning);
    this.publishSoon();
  }

  async measureHost(): Promise<void> {
    this.load = await hostFigures(this.config.state_directory);
  }

  publish(): void {
    this.publishing.now();
  }

  /** Nothing before the first `publish`: until then, what serves was not taken over. */
  publishSoon(): void {
    if (this.begun) this.publishing.call();
  }

  /** Publishes the last status, if the bus is up, and stops. */
  async stop(signal: AbortSignal): Promise<void> {
    if (this.bus.connected) {
      this.publish();
      await this.publisher.stored(signal).catch(() => {});
    }
    this.publishing.stop();
    this.publisher.stop();
  }

  private publishNow(): void {
    this.begun = true;
    const status = this.status();
    this.publisher.set(JSON.stringify(status));
    this.onPublish(summarize(status));
  }
}

/** The slots in one line, for `systemctl status`. */
function summarize({ slots, bus }: HostStatus): string {
  const each = Object.values(slots).map(({ slot, state, version, workers }) => {
    const what = version === null ? "" : ` ${version} (${workers.ready}/${workers.wanted})`;
    return `${slot}: ${state}${what}`;
  });
  return [...each, bus.connected ? "bus connected" : "bus away"].join(", ");
}
