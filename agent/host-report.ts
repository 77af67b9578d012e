import type { Logger } from "pino";
import type { BusConnection } from "../bus/connection.ts";
import { KeyPublisher } from "../bus/key-publisher.ts";
import { programVersion } from "../daemon/version.ts";
import type { SlotdError } from "../protocol/errors.ts";
import type { HostStatus, SlotStatus, WireError } from "../protocol/host-status.ts";
import { buckets, keys } from "../protocol/subjects.ts";
import type { Config } from "./config/schema.ts";
import { hostFigures } from "./host-figures.ts";
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
  private readonly startedAt = new Date().toISOString();
  private readonly warnings = new Set<string>();
  private lastError: WireError | null = null;
  private load: HostStatus["load"] = null;
  private soon: NodeJS.Timeout | undefined;
  private publishedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly config: Config,
    private readonly bus: BusConnection,
    private readonly slots: () => Record<string, SlotStatus>,
    /** Warnings that hold as long as their cause. */
    private readonly passing: () => string[],
    /** Gets the summary line each time the status is published. */
    private readonly onPublish: (summary: string) => void,
    log: Logger,
  ) {
    this.publisher = new KeyPublisher(bus, buckets.hosts, keys.host(config.service, config.host), log);
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
      lastError: this.lastError,
    };
  }

  /** Keeps an error that belongs to no slot. */
  noteError(error: SlotdError): WireError {
    this.lastError = { ...error.toWire(), at: new Date().toISOString() };
    return this.lastError;
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
    clearTimeout(this.soon);
    this.soon = undefined;
    this.publishedAt = performance.now();
    const status = this.status();
    this.publisher.set(JSON.stringify(status));
    this.onPublish(summarize(status));
  }

  publishSoon(): void {
    const waitMs = Math.max(0, this.publishedAt + GAP_MS - performance.now());
    this.soon ??= setTimeout(() => this.publish(), waitMs);
  }

  /** Publishes the last status, if the bus is up, and stops. */
  async stop(signal: AbortSignal): Promise<void> {
    if (this.bus.connected) {
      this.publish();
      await this.publisher.stored(signal).catch(() => {});
    }
    clearTimeout(this.soon);
    this.publisher.stop();
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
