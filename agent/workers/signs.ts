import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Account } from "../os/account.ts";
import { UnixSocket } from "../os/unix-socket.ts";
import { Health } from "./health.ts";
import { isTold, type SignsConfig } from "./signs-paths.ts";

const LIVENESS_VARIABLE = "SLOTD_LIVENESS_SOCKET";
const MAX_WORDS = 200;

/**
 * What a single worker shows of itself, beside the slot's probe that any of them may answer: what it tells on a socket of its own
 * (sd_notify(3): READY=1, WATCHDOG=1, STATUS=…), and how it answers probes on another one.
 */
export class Signs {
  /** What it says of itself. */
  says: string | null = null;
  /** How many requests it says that it has served. */
  requests = 0;
  /** It asks for another one to take its place: `X_SLOTD_RECYCLE=1`. */
  wantsRelief = false;
  /** It has said that it is ready. */
  private told = false;
  private triggered = false;
  private wasReady: boolean;
  /** It has been heard of, and when last: monotonic ms. */
  private heard: boolean;
  private heardAt = performance.now();
  private readonly begunAt = performance.now();
  private readonly health: Health | null = null;

  private constructor(
    private readonly config: SignsConfig,
    private readonly adopted: boolean,
    private readonly notify: UnixSocket | null,
    private readonly livenessPath: string | null,
    private readonly livenessSocket: UnixSocket | null,
    onChange: () => void,
  ) {
    this.heard = adopted;
    this.wasReady = adopted;
    const { path, ...rest } = config.liveness;
    if (!livenessPath || path === undefined) return;
    this.health = new Health({ socketPath: livenessPath }, { path, ...rest }, (changed) => changed && onChange());
    this.health.start();
  }

  /** For a worker that is about to be started; null where nothing of the kind is configured. */
  static prepare(config: SignsConfig, directory: string, name: string, account: Account | null, onChange: () => void) {
    const told = isTold(config);
    if (!told && config.liveness.path === undefined) return null;
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    const path = join(directory, `${name}-${randomBytes(3).toString("hex")}`);
    const notify = told ? UnixSocket.open("datagram", `${path}.notify`, account) : null;
    const alive = config.liveness.path === undefined ? null : UnixSocket.open("stream", `${path}.live`, account);
    return new Signs(config, false, notify, alive?.path ?? null, alive, onChange);
  }

  /** Of a worker that an earlier agent started, by what that gave it; null where it gave it nothing. */
  static resume(config: SignsConfig, environment: ReadonlyMap<string, string>, onChange: () => void): Signs | null {
    const notifyPath = environment.get("NOTIFY_SOCKET");
    const livenessPath = environment.get(LIVENESS_VARIABLE) ?? null;
    if (!notifyPath && !livenessPath) return null;
    // One that nobody reads would fill up, and hold its worker up.
    const notify = notifyPath && isTold(config) ? UnixSocket.open("datagram", notifyPath, ownerOf(notifyPath)) : null;
    return new Signs(config, true, notify, livenessPath, null, onChange);
  }

  /** What the worker's environment says of it. */
  get variables(): Record<string, string> {
    const { timeout_ms } = this.config.watchdog;
    return {
      ...(this.notify && { NOTIFY_SOCKET: this.notify.path }),
      ...(timeout_ms !== undefined && { WATCHDOG_USEC: String(timeout_ms * 1000) }),
      ...(this.livenessPath !== null && {
        LISTEN_FDS: "2",
        LISTEN_FDNAMES: "http:liveness",
        [LIVENESS_VARIABLE]: this.livenessPath,
      }),
    };
  }

  /** What it inherits beside the slot's socket. */
  get descriptors(): number[] {
    return this.livenessSocket ? [this.livenessSocket.fd] : [];
  }

  /** The worker has its own copies now. With it, the socket for probes lives and dies. */
  handedOver(): void {
    this.livenessSocket?.release();
  }

  /** Whether it has come up, as far as it shows that itself. One that was taken over has, unless it shows otherwise. */
  get ready(): boolean {
    const told = this.told || this.adopted || this.config.readiness.by === "probe";
    const alive = !this.health || this.health.healthy || (this.adopted && !this.health.known);
    return told && alive;
  }

  /** Hears what it has said since, and judges. @returns why it has to be replaced, or null. */
  look(): "hung" | "unhealthy" | null {
    this.hear();
    const now = performance.now();
    this.wasReady ||= this.ready;
    if (this.triggered || now > this.deadline) return "hung";
    if (!this.wasReady) return now - this.begunAt > this.config.readiness.timeout_ms ? "hung" : null;
    return this.health?.known && !this.health.healthy ? "unhealthy" : null;
  }

  /** When it will be too late to be heard of again. Until the first time, it may take as long as a start may. */
  private get deadline(): number {
    const { watchdog, readiness } = this.config;
    if (watchdog.timeout_ms === undefined) return Number.POSITIVE_INFINITY;
    return this.heardAt + (this.heard ? watchdog.timeout_ms : Math.max(watchdog.timeout_ms, readiness.timeout_ms));
  }

  close(): void {
    this.health?.stop();
    this.notify?.close();
    this.livenessSocket?.release();
    if (this.livenessPath !== null) rmSync(this.livenessPath, { force: true });
  }

  /** Lets go of a worker that lives on. */
  abandon(): void {
    this.health?.stop();
    this.notify?.release();
  }

  private hear(): void {
    for (let text = this.notify?.receive(); text !== null && text !== undefined; text = this.notify?.receive()) {
      for (const line of text.split("\n")) this.take(line);
    }
  }

  private hearNow(): void {
    this.heard = true;
    this.heardAt = performance.now();
  }

  private take(line: string): void {
    const [name, ...rest] = line.split("=");
    const value = rest.join("=");
    switch (name) {
      case "READY":
        this.told ||= value === "1";
        this.hearNow();
        return;
      case "WATCHDOG":
        this.triggered ||= value === "trigger";
        this.hearNow();
        return;
      case "STATUS":
        this.says = value.slice(0, MAX_WORDS);
        return;
      case "X_SLOTD_REQUESTS":
        if (/^\d{1,15}$/.test(value)) this.requests = Number(value);
        return;
      case "X_SLOTD_RECYCLE":
        this.wantsRelief = value === "1";
        return;
      default:
      // STOPPING, RELOADING, MAINPID and the like change nothing here: the process itself is watched.
    }
  }
}

/** Whose socket it was: the worker's user has to be able to use it again. */
function ownerOf(path: string): { uid: number; gid: number } | null {
  return statSync(path, { throwIfNoEntry: false }) ?? null;
}

/** Removes what workers left that ended while no agent was there. @param kept environments of those that live */
export function sweepSigns(directory: string, slot: string, kept: readonly ReadonlyMap<string, string>[]): void {
  if (!existsSync(directory)) return;
  const inUse = kept.flatMap((env) => [env.get("NOTIFY_SOCKET"), env.get(LIVENESS_VARIABLE)]);
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const ours = /^(.+)-\d+-[0-9a-f]{6}\.(notify|live)$/.exec(name)?.[1] === slot;
    if (ours && !inUse.includes(path)) rmSync(path, { force: true });
  }
}
