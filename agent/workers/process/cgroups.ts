import type { Logger } from "pino";
import type { Config } from "../../config/schema.ts";
import { Cgroup } from "../../os/cgroup.ts";
import { commandLine, environment, identify, type ProcessIdentity } from "../../os/process.ts";
import { TOKEN_VARIABLE } from "./token.ts";
import { treeOf } from "./tree-of.ts";

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

  /**
   * Moves the agent into a group of its own. Null, and why in the log, where it has no part of the hierarchy to itself.
   */
  static open(limits: Config["limits"], log: Logger): HostCgroups | null {
    const top = Cgroup.delegated();
    if (!top) {
      log.info(
        "no delegated cgroup v2 (Delegate=yes of slotd@.service): processes are found by session, group and token",
      );
      return null;
    }
    try {
      top.child("agent").make().addProcess(process.pid);
      return new HostCgroups(top, limits, log);
    } catch (err) {
      log.warn({ err, cgroup: top.path }, "the delegated cgroup can't be used");
      return null;
    }
  }

  slot(name: string, cpuWeight: number): SlotCgroup {
    const group = this.top.child(`slot-${name}`);
    // The empty ones of an earlier agent.
    group.remove();
    const slot = new SlotCgroup(group, this.limits, cpuWeight, this.log.child({ slot: name }));
    this.slots.push(slot);
    return slot;
  }

  /**
   * Gives the controllers to the slots and sets all limits, also those of workers that run. Done at each start, when
   * what an earlier agent left has its place: before systemd 254 the limits are lifted while no agent is there, see
   * systemd/after-agent.
   * @returns the controllers in force now, and the groups whose worker ended while no agent ran, which have to be ended
   */
  enforce(): { controllers: string[]; orphaned: Cgroup[] } {
    const { top, log } = this;
    const there = CONTROLLERS.filter((controller) => top.controllers.includes(controller));
    try {
      top.enable(there);
    } catch (err) {
      const inTheWay = top.readText("cgroup.procs").split("\n").filter(Boolean);
      const processes = inTheWay.map((pid) => `${pid} (${commandLine(Number(pid))})`);
      log.warn(
        { err, processes, cgroup: top.path },
        "limits can't be enforced: processes are in the unit's own cgroup",
      );
    }
    const orphaned = this.slots.flatMap((slot) => slot.enforce());
    return { controllers: top.enabled, orphaned };
  }
}

/**
 * A slot's control group, with one for each worker in it. No group is given to a second worker while it is there: what
 * a worker left in its group is not to be mixed up with the next one.
 */
export class SlotCgroup {
  /** Those of the workers that this agent has started or taken over. */
  private readonly given = new Set<string>();

  constructor(
    private readonly group: Cgroup,
    private readonly limits: Config["limits"],
    private readonly cpuWeight: number,
    private readonly log: Logger,
  ) {}

  /** A new group for a worker. A worker and its replacement, with the same index, may run at the same time. */
  place(worker: number): Cgroup {
    if (!this.group.exists) this.open();
    for (let n = 0; ; n++) {
      const group = this.group.child(n === 0 ? `worker-${worker}` : `worker-${worker}.${n}`);
      if (group.exists) continue;
      group.make();
      this.given.add(group.path);
      this.limit(group);
      return group;
    }
  }

  /**
   * The group of a worker that was found running. Where it has none, it gets one, together with all that it has
   * started.
   */
  placeOf(identity: ProcessIdentity, worker: number): Cgroup {
    const now = Cgroup.of(identity.pid)?.below(this.group);
    if (now) {
      this.given.add(now.path);
      return now;
    }
    const group = this.place(worker);
    try {
      group.addProcess(identity.pid);
    } catch (error) {
      group.remove();
      throw error;
    }
    // What the worker starts from now on is born there. What it was starting meanwhile is moved by the next round.
    for (let round = 0, rest = [0]; rest.length > 0 && round < 5; round++) {
      const moved = new Set(group.pids());
      rest = treeOf(identity).filter((pid) => !moved.has(pid));
      for (const pid of rest) group.tryToAddProcess(pid);
    }
    return group;
  }

  /** Sets the slot's weight and the limits of all of its workers. @returns the groups that belong to no worker */
  enforce(): Cgroup[] {
    if (!this.group.exists) return [];
    this.open();
    const [orphaned, owned] = [[] as Cgroup[], [] as Cgroup[]];
    for (const group of this.group.children())
      (this.given.has(group.path) || !isOrphaned(group) ? owned : orphaned).push(group);
    for (const group of owned) this.limit(group);
    return orphaned;
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

  /** Makes the slot's group, with what those of its workers need of it. */
  private open(): void {
    const { group, log } = this;
    group.make();
    try {
      if (group.has("cpu.weight")) group.write("cpu.weight", String(this.cpuWeight));
      group.enable(CONTROLLERS.filter((controller) => group.controllers.includes(controller)));
    } catch (err) {
      log.warn({ err, cgroup: group.path }, "limits can't be enforced");
    }
  }

  private limit(group: Cgroup): void {
    for (const [file, value] of Object.entries(limitFiles(this.limits))) {
      if (!group.has(file)) continue;
      // Lowering it below what is in use would kill at once; the worker's next process gets it.
      const used = file === "memory.max" ? Number(group.readText("memory.current")) : 0;
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

/** What is written into a worker's group. An earlier agent may have set a limit that is not wanted any more. */
function limitFiles({ memory_max_bytes, pids_max }: Config["limits"]): Record<string, string> {
  return {
    "memory.max": String(memory_max_bytes ?? "max"),
    "memory.oom.group": "1",
    "pids.max": String(pids_max ?? "max"),
  };
}

/**
 * No process in it carries a token: its worker has ended, and the worker's children have overwritten their
 * environments.
 */
function isOrphaned(group: Cgroup): boolean {
  return !group.pids().some((pid) => environment(pid)?.has(TOKEN_VARIABLE));
}
