import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { StopFailedError } from "../../protocol/errors.ts";
import type { ConnectionScan } from "../drain/connection-counter.ts";
import { socketInode, whoAccepts } from "../os/accepting.ts";
import { Listener } from "../os/listener.ts";
import { portOwner } from "../os/port-owner.ts";
import { descriptors, holds } from "../os/process.ts";
import type { ServiceManager } from "../os/service-manager.ts";
import { listenerInode, openTcpScan, type TcpConnection } from "../os/tcp-connections.ts";
import type { Front } from "../workers/front.ts";

/** A slot's address, and the service manager that keeps its socket while no agent runs. */
export interface SlotAddress {
  slot: string;
  bind: string;
  port: number;
  manager: Pick<ServiceManager, "store" | "forget" | "takeInherited">;
  log: Logger;
}

const POLL_MS = 10;
/** How long the kernel may take to close what the last process of a slot had open. */
const CLOSING_MS = 1_000;

/** The name under which the service manager keeps a slot's socket. */
export function storeName(slot: string): string {
  return `slot-${slot}`;
}

/**
 * A slot's listening socket, which all of its workers share. It is opened here, or taken over from the service
 * manager's store or from a living worker; the agent never accepts on it. It is freed before the slot's port is used
 * for anything else.
 */
export class SlotSocket implements Front {
  private readonly inode: number;

  private constructor(
    private readonly at: SlotAddress,
    private readonly listener: Listener,
  ) {
    this.inode = socketInode(listener.fd);
  }

  /** Opens a new socket. @throws PortTakenError naming the process that listens there already. */
  static open(at: SlotAddress): SlotSocket {
    return new SlotSocket(at, Listener.open(at.bind, at.port));
  }

  /**
   * The socket that the service manager kept; null if it kept none for this address. Others under the slot's name are
   * closed.
   */
  static fromStore(at: SlotAddress): SlotSocket | null {
    const { slot, bind, port, manager, log } = at;
    const inherited = manager.takeInherited(storeName(slot)).map((fd) => Listener.fromStore(fd, bind, port));
    const [own = null, ...surplus] = inherited.filter((listener) => listener !== null);
    if (inherited.length > (own ? 1 : 0)) {
      for (const listener of surplus) listener.close();
      // The store forgets all sockets of a name together. The slot's own one is stored again as soon as it has workers.
      manager.forget(storeName(slot));
      log.warn({ port }, "the service manager kept a socket that is not this slot's; it was closed");
    }
    return own && new SlotSocket(at, own);
  }

  /**
   * The inode of the socket that living processes may share: the stored one if one of them has it, else the one that
   * listens on the slot's port; null where none does.
   */
  static inodeOf(at: SlotAddress, stored: SlotSocket | null, pids: readonly number[]): number | null {
    if (stored && pids.some((pid) => holdsSocket(pid, stored.inode))) return stored.inode;
    return listenerInode(at.bind, at.port);
  }

  /** The socket with that inode: the stored one, or a copy taken from one of the processes that have it. */
  static ofWorkers(
    at: SlotAddress,
    stored: SlotSocket | null,
    inode: number,
    pids: Iterable<number>,
  ): SlotSocket | null {
    if (stored?.inode === inode) return stored;
    for (const pid of pids) {
      for (const [fd, target] of descriptors(pid)) {
        const listener = target === `socket:[${inode}]` ? Listener.fromProcess(pid, fd, at.port) : null;
        if (listener) return new SlotSocket(at, listener);
      }
    }
    return null;
  }

  /** How this agent came by it. */
  get origin(): Listener["origin"] {
    return this.listener.origin;
  }

  get descriptors() {
    return [{ name: "http", fd: this.listener.fd }];
  }

  variables(): Record<string, string> {
    return { PORT: String(this.at.port) };
  }

  accepting(pids: readonly number[]): Set<number> {
    return whoAccepts(pids, this.inode);
  }

  openScan(visit: (connection: TcpConnection) => void): ConnectionScan {
    return openTcpScan(this.at.bind, this.at.port, visit);
  }

  /** Has the service manager keep it, so that its queue outlives this agent. */
  store(): void {
    this.at.manager.store(storeName(this.at.slot), this.listener.fd);
  }

  free(): void {
    this.at.manager.forget(storeName(this.at.slot));
    this.listener.close();
  }

  get isFree(): boolean {
    return listenerInode(this.at.bind, this.at.port) === null;
  }

  async untilFree(): Promise<void> {
    const { slot, bind, port } = this.at;
    const end = performance.now() + CLOSING_MS;
    while (!this.isFree) {
      if (performance.now() > end) {
        const owner = portOwner(bind, port);
        const who = owner ? `process ${owner.pid} (${owner.command})` : "a process that can't be seen from here";
        throw new StopFailedError(slot, `port ${port} is still held by ${who}`);
      }
      await sleep(POLL_MS);
    }
  }

  abandon(): void {
    this.listener.close();
  }
}

/** Whether a process has a socket open. */
export function holdsSocket(pid: number, inode: number): boolean {
  return holds(pid, `socket:[${inode}]`);
}
