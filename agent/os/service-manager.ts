import { close, setCloseOnExec } from "./libc.ts";
import { sendUnixDatagram } from "./unix-datagram.ts";

/** The first descriptor passed by a service manager: sd_listen_fds(3). */
const FIRST_FD = 3;
/** How much more time each message from a stopping agent requests. */
const EXTEND_TIMEOUT_USEC = 30_000_000;

export interface ServiceEnvironment {
  NOTIFY_SOCKET?: string | undefined;
  LISTEN_FDS?: string | undefined;
  LISTEN_PID?: string | undefined;
  LISTEN_FDNAMES?: string | undefined;
}

/**
 * Sends the agent's state to systemd, and has systemd store its descriptors: sd_notify(3), sd_listen_fds(3). Does
 * nothing without systemd. Errors in sending go to `onFailure`, so that they don't stop the agent.
 */
export class ServiceManager {
  private readonly socket: string | undefined;
  private isStopping = false;
  /** By name; systemd may store several descriptors under one name. */
  private readonly inherited = new Map<string, number[]>();

  constructor(
    environment: ServiceEnvironment,
    pid: number,
    private readonly onFailure: (error: Error) => void = () => {},
  ) {
    this.socket = environment.NOTIFY_SOCKET || undefined;
    const { LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES } = environment;
    const names = Number(LISTEN_PID) === pid ? (LISTEN_FDNAMES ?? "").split(":") : [];
    const count = Number(LISTEN_PID) === pid ? Number(LISTEN_FDS) : 0;
    for (let i = 0; i < count; i++) {
      const name = names[i] ?? "unknown";
      setCloseOnExec(FIRST_FD + i);
      this.inherited.set(name, [...(this.inherited.get(name) ?? []), FIRST_FD + i]);
    }
  }

  ready(status: string): void {
    this.send(`READY=1\nSTATUS=${status}`);
  }

  /** Feeds the watchdog. While the agent is stopping, also requests more time. */
  beat(status: string): void {
    const more = this.isStopping ? `\nEXTEND_TIMEOUT_USEC=${EXTEND_TIMEOUT_USEC}` : "";
    this.send(`WATCHDOG=1\nSTATUS=${this.isStopping ? "stopping; " : ""}${status}${more}`);
  }

  stopping(): void {
    this.isStopping = true;
    this.send(`STOPPING=1\nEXTEND_TIMEOUT_USEC=${EXTEND_TIMEOUT_USEC}`);
  }

  /** Has systemd store a descriptor beyond the agent's end. Several may be stored under one name. */
  store(name: string, fd: number): void {
    this.send(`FDSTORE=1\nFDNAME=${name}`, [fd]);
  }

  /** Has systemd close the descriptors stored under a name. */
  forget(name: string): void {
    this.send(`FDSTOREREMOVE=1\nFDNAME=${name}`);
  }

  /** Returns the descriptors that systemd stored under a name, and forgets them. */
  takeInherited(name: string): number[] {
    const descriptors = this.inherited.get(name) ?? [];
    this.inherited.delete(name);
    return descriptors;
  }

  /** Closes all inherited descriptors under other names, here and in systemd. */
  forgetExcept(names: readonly string[]): void {
    for (const [name, descriptors] of this.inherited) {
      if (names.includes(name)) continue;
      this.forget(name);
      for (const fd of descriptors) close(fd);
      this.inherited.delete(name);
    }
  }

  private send(text: string, descriptors: readonly number[] = []): void {
    if (this.socket === undefined) return;
    try {
      sendUnixDatagram(this.socket, text, descriptors);
    } catch (error) {
      this.onFailure(error as Error);
    }
  }
}
