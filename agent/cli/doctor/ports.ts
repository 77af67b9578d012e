import { portOwner } from "../../os/port-owner.ts";
import { environment } from "../../os/process.ts";
import { listenerInode } from "../../os/tcp-connections.ts";
import type { LiveAgent } from "./agent.ts";
import { type Check, fail, ok, warn } from "./check.ts";

export interface SlotPort {
  service: string;
  slot: string;
  address: string;
  port: number;
}

/** Whether a slot's port is free, or held by the agent or its workers, which may outlive the agent. */
export function checkPort({ service, slot, address, port }: SlotPort, agent: LiveAgent | null): Check {
  const name = `port of ${slot}`;
  if (listenerInode(address, port) === null) return ok(name, `${port} is free`);
  const owner = portOwner(address, port);
  if (owner === null) {
    if (agent && agent.status.slots[slot]?.port === port && agent.status.slots[slot].socket !== "none")
      return ok(name, `${port} is in use; the agent says that the socket is its own`);
    return warn(name, `${port} is taken by a process of another user`, "run doctor with sudo to see which");
  }
  const { pid, command } = owner;
  if (pid === agent?.status.pid) return ok(name, `${port} is held by the agent (pid ${pid})`);
  if (agent?.workers.some((worker) => worker.pid === pid && worker.slot === slot) || isWorker(pid, service, slot))
    return ok(name, `${port} is held by slot ${slot}'s worker (pid ${pid})`);
  return fail(
    name,
    `${port} is taken by process ${pid} (${command.slice(0, 200)})`,
    `end that process, or give the slot another port: slots.${slot}.port`,
  );
}

function isWorker(pid: number, service: string, slot: string): boolean {
  const env = environment(pid);
  return env?.get("SLOTD_SERVICE") === service && env.get("SLOTD_SLOT") === slot;
}
