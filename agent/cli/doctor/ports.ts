import { type PortOwner, portOwners } from "../../os/port-owner.ts";
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
export function checkPort(
  { service, slot, address, port }: SlotPort,
  agent: LiveAgent | null,
  owners: readonly PortOwner[] = portOwners(address, port),
): Check {
  const name = `port of ${slot}`;
  if (listenerInode(address, port) === null) return ok(name, `${port} is free`);
  const own = agent?.status.slots[slot];
  const agentHasIt = own?.port === port && own.socket !== "none";
  const other = `give the slot another port: slots.${slot}.port`;
  if (owners.length === 0) {
    if (agentHasIt) return ok(name, `${port} is in use; the agent says that the socket is its own`);
    const fix =
      process.getuid?.() === 0
        ? `look for it in containers and other PID namespaces, or ${other}`
        : "run doctor with sudo";
    return warn(name, `${port} is taken by a process that can't be seen from here`, fix);
  }
  if (owners.some(({ pid }) => pid === agent?.status.pid))
    return ok(name, `${port} is held by the agent (pid ${agent?.status.pid})`);
  const worker = owners.find(
    ({ pid }) => agent?.workers.some((each) => each.pid === pid && each.slot === slot) || isWorker(pid, service, slot),
  );
  if (worker) return ok(name, `${port} is held by slot ${slot}'s worker (pid ${worker.pid})`);
  const [owner] = owners as [PortOwner];
  if (owners.length === 1 && isServiceManager(owner)) {
    if (agentHasIt) return ok(name, `${port} is in use; the agent says that the socket is its own`);
    const kept = `${port} is held by systemd alone`;
    if (agent === null) return ok(name, `${kept}, which keeps a slot's socket while no agent runs`);
    return fail(name, kept, `find its unit with systemctl list-sockets and stop that, or ${other}`);
  }
  return fail(
    name,
    `${port} is taken by process ${owner.pid} (${owner.command.slice(0, 200)})`,
    `end that process, or ${other}`,
  );
}

function isServiceManager({ pid, command }: PortOwner): boolean {
  return pid === 1 && /(^|\/)(systemd|init)\b/.test(command);
}

function isWorker(pid: number, service: string, slot: string): boolean {
  const env = environment(pid);
  return env?.get("SLOTD_SERVICE") === service && env.get("SLOTD_SLOT") === slot;
}
