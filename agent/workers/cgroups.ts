import { join } from "node:path";
import type { Logger } from "pino";
import type { Config } from "../config/schema.ts";
import { Cgroup } from "../os/cgroup.ts";
import { commandLine, identify, type ProcessIdentity } from "../os/process.ts";

/** The controllers that the limits of slots and workers need. */
const CONTROLLERS = ["cpu", "memory", "pids"];

/**
 * The control groups of a host's slots, below the one that systemd has handed to the agent:
 *
 *     slotd@web.service/agent
 *     slotd@web.service/slot-a/worker-0
 *
 * A group holds a worker with all that it ever starts, whatever that does to its session or its environment.
 */
export class HostCgroups {
  private readonly slots: SlotCgroup[] = [];

  private constructor(
    private readonly top: Cgroup,
    private readonly limits: Config["limits"],
    private readonly log: Logger,
  ) {}

  /** Moves the agent into a group of its own. Null, and why in the log, where it has no part of the hierarchy to itself. */
  static open(limits: Config["limits"], log: Logger): HostCgroups | null {
    const top = Cgroup.delegated();
    if (!top) {
      const wanted = Object.keys(limitFiles(limits));
      const why =
        "no delegated cgroup v2 (Delegate=yes of slotd@.service): processes are told by session, group and token";
      log[wanted.length > 0 ? "warn" : "info"]({ notEnforced: wanted }, why);
      return null;
    }
    try {
      top.child("agent").make().take(process.pid);
      return new HostCgroups(top, limits, log);
    } catch (err) {
      log.warn({ err, cgroup: top.path }, "the delegated cgroup can't be used");
      return null;
    }
  }

  slot(name: string, cpuWeight: number): SlotCgroup {
    const slot = new SlotCgroup(this.top.child(`slot-${name}`), this.limits, cpuWeight, this.log);
    this.slots.push(slot);
    return slot;
  }

  /**
   * Gives the controllers to the slots and sets all limits, also those of workers that run. Done at each start, when what an earlier
   * agent left has its place: before systemd 254 the limits are lifted while no agent is there, see systemd/after-agent.
   * @returns the controllers that hold now
   */
  enforce(): string[] {
    const { top, log } = this;
    const there = CONTROLLERS.filter((controller) => top.controllers.includes(controller));
    try {
      top.enable(there);
    } catch (err) {
      const inTheWay = top.read("cgroup.procs").split("\n").filter(Boolean);
      const processes = inTheWay.map((pid) => `${pid} (${commandLine(Number(pid))})`);
      log.warn(
        { err, processes, cgroup: top.path },
        "limits can't be enforced: processes are in the unit's own cgroup",
      );
    }
    for (const slot of this.slots) slot.enforce();
    const missing = CONTROLLERS.filter((controller) => !top.enabled.includes(controller));
    const lost = Object.keys(limitFiles(this.limits)).filter((file) => missing.includes(file.split(".")[0] as string));
    if (lost.length > 0) log.warn({ notEnforced: lost, missing }, "limits can't be enforced: controllers are missing");
    return top.enabled;
  }
}

/** A slot's control group, with one for each worker in it. */
export class SlotCgroup {
  constructor(
    private readonly group: Cgroup,
    private readonly limits: Config["limits"],
    private readonly cpuWeight: number,
    private readonly log: Logger,
  ) {}

  /** A new, empty group for a worker. Two of a seat may run at a time. */
  place(worker: number): Cgroup {
    for (let n = 0; ; n++) {
      const group = this.group.child(n === 0 ? `worker-${worker}` : `worker-${worker}.${n}`);
      // One that is left from an earlier process of this seat, but for what still runs in it.
      if (group.has("cgroup.procs") && !group.remove()) continue;
      group.make();
      this.limit(group);
      return group;
    }
  }

  /** The group of a worker that was found running; it is given one where it has none. */
  placeOf(identity: ProcessIdentity, worker: number): Cgroup {
    const now = Cgroup.of(identity.pid);
    if (now && join(now.path, "..") === this.group.path) return now;
    const group = this.place(worker);
    group.take(identity.pid);
    return group;
  }

  enforce(): void {
    try {
      this.group.make();
      if (this.group.has("cpu.weight")) this.group.write("cpu.weight", String(this.cpuWeight));
      this.group.enable(CONTROLLERS.filter((controller) => this.group.controllers.includes(controller)));
    } catch (err) {
      this.log.warn({ err, cgroup: this.group.path }, "limits can't be enforced");
    }
    for (const worker of this.group.children()) this.limit(worker);
  }

  /** The processes in the slot's groups. */
  processes(): ProcessIdentity[] {
    return this.group.pids().flatMap((pid) => identify(pid) ?? []);
  }

  kill(): boolean {
    return this.group.kill();
  }

  remove(): void {
    this.group.remove();
  }

  private limit(group: Cgroup): void {
    for (const [file, value] of Object.entries({ ...limitFiles(this.limits), "memory.oom.group": "1" })) {
      if (!group.has(file)) continue;
      // Lowering it below what is in use would kill at once; the worker's next process gets it.
      const used = file === "memory.max" ? Number(group.read("memory.current")) : 0;
      if (used > Number(value)) {
        this.log.warn({ file, value, used, cgroup: group.path }, "worker uses more than its new limit: not set yet");
        continue;
      }
      try {
        group.write(file, value);
      } catch (err) {
        this.log.warn({ err, file, cgroup: group.path }, "a limit could not be set");
      }
    }
  }
}

function limitFiles({ memory_max_bytes, pids_max }: Config["limits"]): Record<string, string> {
  return {
    ...(memory_max_bytes !== undefined && { "memory.max": String(memory_max_bytes) }),
    ...(pids_max !== undefined && { "pids.max": String(pids_max) }),
  };
}
