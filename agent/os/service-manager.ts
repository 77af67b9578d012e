import { close, setCloseOnExec } from "./libc.ts";
import { sendUnixDatagram } from "./unix-datagram.ts";

/** Descriptors that a service manager passes start here: sd_listen_fds(3). */
const FIRST_FD = 3;
/** How much longer an agent that ends, and says so again and again, may take each time. */
const PATIENCE_USEC = 30_000_000;

export interface ServiceEnvironment {
  NOTIFY_SOCKET?: string | undefined;
  LISTEN_FDS?: string | undefined;
  LISTEN_PID?: string | undefined;
  LISTEN_FDNAMES?: string | undefined;
}

/**
 * What the agent says to systemd, and what systemd keeps for it: sd_notify(3), sd_listen_fds(3). Without systemd all of
 * it does nothing. A message that can't be sent is no reason to stop serving: it goes to `onFailure`.
 */
export class ServiceManager {
  private readonly socket: string | undefined;
  private ending = false;
  /** By name; systemd may keep several under one. */
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

  /** The agent works: feeds the watchdog, and while it ends, asks for more time to do so. */
  beat(status: string): void {
    const more = this.ending ? `\nEXTEND_TIMEOUT_USEC=${PATIENCE_USEC}` : "";
    this.send(`WATCHDOG=1\nSTATUS=${this.ending ? "ending; " : ""}${status}${more}`);
  }

  stopping(): void {
    this.ending = true;
    this.send(`STOPPING=1\nEXTEND_TIMEOUT_USEC=${PATIENCE_USEC}`);
  }

  /**
   * Has systemd keep a descriptor over the agent's end, under a name. A second one under that name is kept beside the
   * first.
   */
  store(name: string, fd: number): void {
    this.send(`FDSTORE=1\nFDNAME=${name}`, [fd]);
  }

  /** Lets systemd close what it keeps under a name. */
  forget(name: string): void {
    this.send(`FDSTOREREMOVE=1\nFDNAME=${name}`);
  }

  /** Takes all that systemd kept under a name, once. */
  takeInherited(name: string): number[] {
    const descriptors = this.inherited.get(name) ?? [];
    this.inherited.delete(name);
    return descriptors;
  }

  /** Lets go of all that systemd kept under other names. */
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
