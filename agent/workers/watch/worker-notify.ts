import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type NotifyConfig, type NotifyPaths, needsNotify, notifyPaths, stemOf } from "../../config/notify-paths.ts";
import type { Account } from "../../os/account.ts";
import { UnixSocket } from "../../os/unix-socket.ts";
import { HealthProbe } from "./health.ts";
import { describeProbe } from "./probe.ts";

const LIVENESS_VARIABLE = "SLOTD_LIVENESS_SOCKET";
const MAX_WORDS = 200;
/**
 * Datagrams read in one go: more than a queue holds (unix(7), max_dgram_qlen), yet bounded however many a worker sends.
 */
const MAX_MESSAGES = 600;
/** A slot that is not ready in time is reported as NOT_READY before its workers are killed one by one. */
const LATE_MS = 2_000;
/**
 * The fields that are read. STOPPING, RELOADING, MAINPID and the like change nothing here: the process itself is
 * watched.
 */
const FIELD = /(?:^|\n)(READY|WATCHDOG|STATUS|X_SLOTD_REQUESTS|X_SLOTD_RECYCLE)=([^\n]*)/g;

/** The sockets and bounds that a process was started with. */
interface Given {
  paths: NotifyPaths;
  notify: UnixSocket | null;
  live: UnixSocket | null;
  /** Its liveness can be probed. */
  probed: boolean;
  /** The watchdog timeout that it was given, in ms; infinite where it was given none. */
  watchdogMs: number;
  /** It has come up, as far as is known. */
  up: boolean;
}

/**
 * What a single worker reports; the slot's probe, by contrast, may be answered by any of them. It sends messages on a
 * socket of its own (sd_notify(3): READY=1, WATCHDOG=1, STATUS=…), and answers liveness probes on another one.
 */
export class WorkerNotify {
  /** What it says of itself. */
  says: string | null = null;
  /** How many requests it says that it has served. */
  requests = 0;
  /** It asks for another one to take its place: `X_SLOTD_RECYCLE=1`. */
  wantsReplacement = false;
  /** It has said that it is ready. */
  private saidReady: boolean;
  private triggered = false;
  /** It has come up once, whatever happened to it since. */
  private up: boolean;
  /** It has sent a heartbeat (READY=1 or WATCHDOG=1), and when last: monotonic ms. */
  private hadHeartbeat: boolean;
  private lastHeartbeatAt = performance.now();
  private judgedAt = performance.now();
  private readonly begunAt = performance.now();
  private readonly health: HealthProbe | null = null;

  private constructor(
    private readonly config: NotifyConfig,
    private readonly given: Given,
    onChange: () => void,
  ) {
    this.saidReady = this.hadHeartbeat = this.up = given.up;
    const { path, ...rest } = config.liveness;
    if (!given.probed || path === undefined) return;
    this.health = new HealthProbe(
      { socketPath: given.paths.live },
      { path, ...rest },
      (changed) => changed && onChange(),
    );
    this.health.start();
  }

  /** For a worker that is about to be started; null where nothing of the kind is configured. */
  static prepare(config: NotifyConfig, directory: string, name: string, account: Account | null, onChange: () => void) {
    const notified = needsNotify(config);
    const probed = config.liveness.path !== undefined;
    if (!notified && !probed) return null;
    mkdirSync(directory, { recursive: true });
    // Whatever the agent's umask is, and whoever the workers are.
    chmodSync(directory, 0o755);
    const paths = notifyPaths(join(directory, `${name}-${randomBytes(3).toString("hex")}`));
    const watchdogMs = config.watchdog.timeout_ms ?? Number.POSITIVE_INFINITY;
    const given: Given = { paths, notify: null, live: null, probed, watchdogMs, up: false };
    try {
      writeFileSync(paths.starting, "");
      if (notified) given.notify = UnixSocket.open("datagram", paths.notify, account);
      if (probed) given.live = UnixSocket.open("stream", paths.live, account);
      return new WorkerNotify(config, given, onChange);
    } catch (error) {
      given.notify?.close();
      rmSync(paths.starting, { force: true });
      throw error;
    }
  }

  /**
   * For a worker that an earlier agent started; null where that agent gave it no sockets. The configuration may have
   * changed since: only what the worker was started with is asked of it.
   * @param name of the worker, as for `prepare`
   * @param environment as the process shows it, which may have written there what it likes
   */
  static resume(
    config: NotifyConfig,
    directory: string,
    name: string,
    environment: ReadonlyMap<string, string>,
    onChange: () => void,
  ): WorkerNotify | null {
    const found = filesOf(environment, directory);
    if (!found || `${found.slot}-${found.worker}` !== name) return null;
    const paths = notifyPaths(found.stem);
    const hasNotify = environment.get("NOTIFY_SOCKET") === paths.notify;
    // A socket that nobody reads would fill up and block its worker.
    const notify =
      hasNotify && needsNotify(config) ? UnixSocket.open("datagram", paths.notify, ownerOf(paths.notify)) : null;
    const watched = notify && config.watchdog.timeout_ms !== undefined;
    const watchdogMs = (watched && Number(environment.get("WATCHDOG_USEC")) / 1000) || Number.POSITIVE_INFINITY;
    const probed = environment.get(LIVENESS_VARIABLE) === paths.live;
    const up = !existsSync(paths.starting);
    return new WorkerNotify(config, { paths, notify, live: null, probed, watchdogMs, up }, onChange);
  }

  /** What the worker's environment says of it. */
  get variables(): Record<string, string> {
    const { paths, notify, probed, watchdogMs } = this.given;
    return {
      ...(notify && { NOTIFY_SOCKET: paths.notify }),
      ...(Number.isFinite(watchdogMs) && { WATCHDOG_USEC: String(watchdogMs * 1000) }),
      ...(probed && { [LIVENESS_VARIABLE]: paths.live }),
    };
  }

  /** What it inherits after the descriptors of the pool's front. */
  get descriptors(): { name: string; fd: number }[] {
    return this.given.live ? [{ name: "liveness", fd: this.given.live.fd }] : [];
  }

  /** The worker has its own copies now: the socket for probes lives and ends with the worker. */
  handedOver(): void {
    this.given.live?.release();
  }

  /** It has reported all that it has to. */
  get ready(): boolean {
    return this.lacks === null;
  }

  /**
   * What it still has to report, for a message. One that had come up before it was taken over lacks nothing, unless its
   * probe fails.
   */
  get lacks(): string | null {
    const { health } = this;
    if (!this.saidReady && this.config.readiness.by === "notify") return "has not said READY=1";
    if (!health || health.healthy || (this.given.up && !health.known)) return null;
    return `did not answer on its own socket: ${describeProbe(health.last)}`;
  }

  /** Reads its new messages, and judges it. @returns why it must be killed and started again, or null. */
  receiveAndJudge(): "hung" | "unhealthy" | null {
    this.receiveMessages();
    const { watchdogMs } = this.given;
    const now = performance.now();
    // This check is late: the agent was suspended, and perhaps its workers were as well.
    if (now - this.judgedAt > watchdogMs) this.lastHeartbeatAt = now;
    this.judgedAt = now;
    if (this.ready && (this.hadHeartbeat || watchdogMs === Number.POSITIVE_INFINITY)) this.comeUp();
    if (this.triggered) return "hung";
    if (!this.up) return now - this.begunAt > this.startMs ? "hung" : null;
    if (now - this.lastHeartbeatAt > watchdogMs) return "hung";
    return this.health?.known && !this.health.healthy ? "unhealthy" : null;
  }

  close(): void {
    const { paths, notify, live } = this.given;
    this.health?.stop();
    notify?.release();
    live?.release();
    for (const path of Object.values(paths)) rmSync(path, { force: true });
  }

  /** Stops watching a worker that lives on. */
  abandon(): void {
    this.health?.stop();
    this.given.notify?.release();
  }

  /** How long it may take to come up: to be ready, and to send its first heartbeat where it has a watchdog. */
  private get startMs(): number {
    const { watchdogMs } = this.given;
    return Math.max(this.config.readiness.timeout_ms, Number.isFinite(watchdogMs) ? watchdogMs : 0) + LATE_MS;
  }

  private comeUp(): void {
    if (this.up) return;
    this.up = true;
    rmSync(this.given.paths.starting, { force: true });
  }

  private receiveMessages(): void {
    for (let count = 0; count < MAX_MESSAGES; count++) {
      const text = this.given.notify?.receive() ?? null;
      if (text === null) return;
      for (const [, name, value] of text.matchAll(FIELD)) this.applyField(name as string, value as string);
    }
  }

  private noteHeartbeat(): void {
    this.hadHeartbeat = true;
    this.lastHeartbeatAt = performance.now();
  }

  private applyField(name: string, value: string): void {
    if (name === "STATUS") this.says = plain(value);
    if (name === "X_SLOTD_REQUESTS" && /^\d{1,15}$/.test(value)) this.requests = Number(value);
    if (name === "X_SLOTD_RECYCLE") this.wantsReplacement = value === "1";
    if (name === "WATCHDOG" && value === "trigger") this.triggered = true;
    if (name === "READY" && value === "1") this.saidReady = true;
    if ((name === "READY" || name === "WATCHDOG") && value === "1") this.noteHeartbeat();
  }
}

/** What may be shown on a terminal; null where nothing is left. */
function plain(text: string): string | null {
  const words = text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return [...words].slice(0, MAX_WORDS).join("") || null;
}

/** Whose socket it was: the worker's user has to be able to use it again. */
function ownerOf(path: string): { uid: number; gid: number } | null {
  return statSync(path, { throwIfNoEntry: false }) ?? null;
}

function filesOf(environment: ReadonlyMap<string, string>, directory: string) {
  const path = environment.get("NOTIFY_SOCKET") ?? environment.get(LIVENESS_VARIABLE);
  return path === undefined ? null : stemOf(path, directory);
}

/** Removes the files of workers that ended while no agent ran. @param kept environments of the workers that live */
export function removeStaleNotifyFiles(
  directory: string,
  slot: string,
  kept: readonly ReadonlyMap<string, string>[],
): void {
  if (!existsSync(directory)) return;
  const inUse = kept.map((environment) => filesOf(environment, directory)?.stem);
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const found = stemOf(path, directory);
    if (found?.slot === slot && !inUse.includes(found.stem)) rmSync(path, { force: true });
  }
}
