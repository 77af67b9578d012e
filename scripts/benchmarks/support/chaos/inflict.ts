import { until } from "../../../../test/support/until.ts";
import { groupBy } from "../group-by.ts";
import type { Run } from "../run.ts";
import type { Outage } from "./account.ts";
import type { ChaosFleet } from "./fleet.ts";
import type { Operator } from "./operator.ts";
import type { Fault } from "./plan-faults.ts";

/** Something that can be killed, and started again. */
interface Victim {
  kill(): Promise<unknown>;
  /** Resolves when it is up. */
  revive(): Promise<unknown>;
}

/**
 * Carries out the plan: kills each process at its time, and starts it again, as systemd would. Resolves when all are
 * back.
 */
export async function inflict(run: Run, fleet: ChaosFleet, operator: Operator, plan: readonly Fault[]) {
  const beganMs = performance.now();
  const outages: Outage[] = [];
  const lanes = groupBy(plan, ({ victim }) => victim);
  const lane = async (faults: readonly Fault[]) => {
    for (const fault of faults) {
      // Who took long to come up is killed late, but not at once.
      await run.sleep(Math.max(MIN_UP_MS, beganMs + fault.atMs - performance.now()));
      outages.push(await outage(run, victimOf(fleet, operator, fault), fault));
      run.say(`  ${tell(outages.at(-1) as Outage, beganMs)}`);
    }
  };
  await Promise.all([...lanes.values()].map(lane));
  return outages.sort((one, other) => one.killedAt - other.killedAt);
}

const MIN_UP_MS = 200;

async function outage(run: Run, victim: Victim, { kind, victim: name, downMs }: Fault): Promise<Outage> {
  const killedAt = Date.now();
  await victim.kill();
  await run.sleep(downMs);
  // What ends the run ends what it knows; nothing is started after that.
  run.signal.throwIfAborted();
  await victim.revive();
  return { kind, victim: name, killedAt, upAt: Date.now() };
}

function victimOf({ hosts, edge, proxy, nats }: ChaosFleet, operator: Operator, { kind, victim }: Fault): Victim {
  switch (kind) {
    case "agent": {
      const host = hosts.find(({ name }) => name === victim);
      if (!host) throw new Error(`there is no host ${victim}`);
      const revive = () => {
        host.spawnAgent();
        return until(`the agent of ${victim} answers`, () => host.status());
      };
      return { kill: () => host.killAgent(), revive };
    }
    case "edge":
      return { kill: () => edge.kill(), revive: () => edge.begin() };
    case "proxy":
      if (!proxy) throw new Error("the edge is the proxy");
      return { kill: () => proxy.kill(), revive: () => proxy.restart() };
    case "nats":
      return { kill: () => nats.kill(), revive: () => nats.restart() };
    case "controller":
      return { kill: () => operator.kill(), revive: async () => operator.release() };
    default:
      return kind satisfies never;
  }
}

function tell({ kind, victim, killedAt, upAt }: Outage, beganMs: number): string {
  const at = (killedAt - performance.timeOrigin - beganMs) / 1_000;
  return `${at.toFixed(1).padStart(6)} s  ${kind}${victim === kind ? "" : ` of ${victim}`} killed, up after ${upAt - killedAt} ms`;
}
