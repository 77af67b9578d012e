import { request } from "node:http";
import type { Socket } from "node:net";
import type { Config } from "../../config/schema.ts";
import { OwnConnections } from "./own-connections.ts";

/** How often an unhealthy slot is probed, so that a start is not slower than the app. */
const EAGER_INTERVAL_MS = 100;

export type ProbeResult = { ok: true; status: number } | { ok: false; status?: number; why: string };

/** Where a probe goes: a port, or a unix socket. */
export type ProbeTarget = { host: string; port: number } | { socketPath: string };

/** A probe's result as a person would say it. */
export function describeProbe(result: ProbeResult): string {
  return result.ok ? `answered ${result.status}` : result.why;
}

/**
 * One GET on a connection of its own. Never throws, and never takes longer than the timeout.
 * @param onSocket is given the connection that is being made
 */
export function probe(
  target: ProbeTarget,
  path: string,
  timeoutMs: number,
  onSocket: (socket: Socket) => void = () => {},
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const call = request({ ...target, path, agent: false, headers: { "user-agent": "slotd-health" } }, (response) => {
      const status = response.statusCode ?? 0;
      response.resume();
      response.once("error", (error) => finish({ ok: false, why: error.message }));
      response.once("end", () =>
        finish(status < 400 ? { ok: true, status } : { ok: false, status, why: `GET ${path} answered ${status}` }),
      );
    });
    const late = () => finish({ ok: false, why: `GET ${path} was not answered in ${timeoutMs} ms` });
    // An answer that came while this process stood still is there, but was not read yet when the timer's turn comes.
    const timer = setTimeout(() => setImmediate(late), timeoutMs);
    const finish = (result: ProbeResult) => {
      clearTimeout(timer);
      call.destroy();
      resolve(result);
    };
    call.once("error", (error) => finish({ ok: false, why: `GET ${path}: ${error.message}` }));
    call.once("socket", onSocket);
    call.end();
  });
}

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
    const { path, timeout_ms, interval_ms } = this.config;
    const result = await probe(this.target, path, timeout_ms, (socket) => this.connections.add(socket));
    if (!this.running) return;
    const { healthy, known } = this;
    this.count(result);
    this.onProbe(healthy !== this.healthy || known !== this.known);
    if (!this.running) return;
    const wait = this.healthy ? interval_ms : Math.min(EAGER_INTERVAL_MS, interval_ms);
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

/** Where a slot's own host reaches it. */
export function probeAddress(bind: string): string {
  if (bind === "0.0.0.0") return "127.0.0.1";
  return bind === "::" ? "::1" : bind;
}
