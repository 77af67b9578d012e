import { isAlive, type ProcessIdentity } from "../../../../agent/os/process.ts";
import type { Host } from "../../../../test/support/agent/host.ts";
import { until } from "../../../../test/support/until.ts";
import { identifyAll } from "../processes.ts";
import type { Run } from "../run.ts";

/** Kills the agent, and starts the next one at once. Returns when that was, by the clock of `performance.now`. */
export async function replaceAgent(run: Run, host: Host): Promise<number> {
  await host.killAgent();
  // What ends the run ends the last agent that it knows.
  run.signal.throwIfAborted();
  const began = performance.now();
  host.spawnAgent();
  return began;
}

/**
 * Waits until the control socket answers: by then all workers have been taken over, and nobody knows yet how they are.
 */
export async function untilAnswering(host: Host): Promise<void> {
  await until("the agent answers", () => host.status(), { everyMs: 5 });
}

/** Waits until these slots serve with all of their workers alive and ready, as the control socket tells it. */
export async function untilFull(host: Host, slots: readonly string[]): Promise<void> {
  const isFull = async () => {
    const status = await host.status();
    return slots.every((name) => {
      const { state, workers } = status.slots[name] ?? {};
      return state === "serving" && workers?.ready === workers?.wanted && workers?.alive === workers?.wanted;
    });
  };
  await until(`slots ${slots.join(", ")} are full`, isFull, { everyMs: 5 });
}

/** Workers whose processes must not change, however often the agent does. */
export class LastingWorkers {
  changed = 0;

  private constructor(
    private readonly host: Host,
    private readonly slots: readonly string[],
    private processes: ProcessIdentity[],
  ) {}

  static async of(host: Host, slots: readonly string[]): Promise<LastingWorkers> {
    return new LastingWorkers(host, slots, identifyAll(await pidsOf(host, slots)));
  }

  get count(): number {
    return this.processes.length;
  }

  /** Counts those that are another process than at the last look, or that the agent does not know any more. */
  async look(): Promise<void> {
    const pids = await pidsOf(this.host, this.slots);
    this.changed += this.processes.filter((process) => !isAlive(process) || !pids.includes(process.pid)).length;
    this.processes = identifyAll(pids);
  }
}

async function pidsOf(host: Host, slots: readonly string[]): Promise<number[]> {
  const workers = await host.workers();
  return workers.filter(({ slot }) => slots.includes(slot)).map(({ pid }) => pid);
}
