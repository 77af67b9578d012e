import { identify, isAlive, type ProcessIdentity } from "../../../../agent/os/process.ts";
import { type Host, leftProcesses } from "../../../../test/support/agent/host.ts";
import type { Run } from "../run.ts";
import type { WorkerLife } from "./judge-ends.ts";

const LOOK_EVERY_MS = 250;

/** Keeps note of the workers that agents speak of, and of when their processes were gone, whatever the agents do. */
export class WorkerWatch {
  readonly lives: WorkerLife[] = [];
  private readonly living = new Map<string, { life: WorkerLife; identity: ProcessIdentity }>();
  private stopped = false;
  private readonly watching: Promise<unknown>;

  constructor(
    private readonly run: Run,
    private readonly hosts: readonly Host[],
  ) {
    this.watching = Promise.all(hosts.map((host) => this.follow(host)));
    this.watching.catch(() => {});
  }

  async stop(): Promise<WorkerLife[]> {
    this.stopped = true;
    await this.watching;
    return this.lives;
  }

  /** Processes of workers that live, and that no agent knows: they were left behind. */
  async strays(): Promise<number[]> {
    const strays = await Promise.all(
      this.hosts.map(async (host) => {
        const known = (await host.workers()).map(({ pid }) => pid);
        return leftProcesses(host.state).filter((pid) => !known.includes(pid));
      }),
    );
    return strays.flat();
  }

  private async follow(host: Host): Promise<void> {
    while (!this.stopped) {
      await this.look(host);
      await this.run.sleep(LOOK_EVERY_MS);
    }
  }

  private async look(host: Host): Promise<void> {
    const workers = await host.workers().catch(() => []);
    for (const [key, { life, identity }] of this.living) {
      if (life.host !== host.name || isAlive(identity)) continue;
      life.goneMs = Date.now();
      this.living.delete(key);
    }
    for (const { slot, version, pid } of workers) {
      const identity = identify(pid);
      const key = `${pid} ${identity?.startTime}`;
      if (!identity || this.living.has(key)) continue;
      const life = { host: host.name, slot, version, pid, firstSeenMs: Date.now(), goneMs: null };
      this.lives.push(life);
      this.living.set(key, { life, identity });
    }
  }
}
