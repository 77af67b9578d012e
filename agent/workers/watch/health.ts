import type { Config } from "../../config/schema.ts";
import { OwnConnections } from "./own-connections.ts";
import { type ProbeResult, type ProbeTarget, probe } from "./probe.ts";

/** How often an unhealthy slot is probed, so that a start is not slower than the app. */
const EAGER_INTERVAL_MS = 100;

/** Probes again and again, and counts good and bad answers in a row: `rise` make it healthy, `fall` unhealthy. */
export class HealthProbe {
  healthy = false;
  /** Enough answers came in a row to say whether it is healthy. */
  known = false;
  /** A probe got a response, good or bad: somebody accepts. */
  answered = false;
  last: ProbeResult = { ok: false, why: "none was made yet" };
  /** The probes' connections, which are nobody's requests. */
  readonly connections = new OwnConnections();
  private streak = 0;
  private timer: NodeJS.Timeout | undefined;
  private running = false;

  constructor(
    private readonly target: ProbeTarget,
    private readonly config: Config["health"],
    /** After each probe: whether the verdict changed, or is known only now. */
    private readonly onProbe: (changed: boolean) => void,
  ) {}

  start(): void {
    if (this.running) return;
    this.running = true;
    void this.run();
  }

  stop(): void {
    this.running = false;
    clearTimeout(this.timer);
  }

  private async run(): Promise<void> {
    const result = await probe(this.target, this.config, (socket) => this.connections.add(socket));
    if (!this.running) return;
    const { healthy, known } = this;
    this.count(result);
    this.onProbe(healthy !== this.healthy || known !== this.known);
    if (!this.running) return;
    const wait = this.healthy ? this.config.interval_ms : Math.min(EAGER_INTERVAL_MS, this.config.interval_ms);
    this.timer = setTimeout(() => void this.run(), wait);
  }

  private count(result: ProbeResult): void {
    this.streak = result.ok === this.last.ok ? this.streak + 1 : 1;
    this.last = result;
    this.answered ||= result.status !== undefined;
    if (result.ok && this.streak >= this.config.rise) this.healthy = this.known = true;
    if (result.ok || this.streak < this.config.fall) return;
    this.healthy = false;
    this.known = true;
  }
}
