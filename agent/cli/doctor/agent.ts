import type { HostStatus, WorkerStatus } from "../../../protocol/host-status.ts";
import type { ControlClient } from "../client.ts";
import { shown } from "../errors.ts";
import { age } from "../render/duration.ts";
import { type Check, fail, ok, warn } from "./check.ts";

/** An agent that answered. */
export interface LiveAgent {
  status: HostStatus;
  workers: readonly WorkerStatus[];
}

/** What the agent itself says that does not fit. */
export function checkWarnings({ status }: LiveAgent): Check[] {
  const { warnings, lastError } = status;
  const checks = warnings.map((warning) => warn("agent", warning, "as it says"));
  if (lastError?.code === "HOST_NAME_TAKEN") checks.push(fail("host name", lastError.message, "as it says"));
  return checks;
}

/** Whether an agent answers, and is the one that the configuration is about. */
export async function checkAgent(
  client: ControlClient,
  service: string | null,
): Promise<{ check: Check; agent: LiveAgent | null }> {
  const name = "agent";
  try {
    const status = await client.status();
    if (service !== null && status.service !== service)
      return {
        agent: null,
        check: fail(
          name,
          `the agent on ${client.socketPath} is that of ${status.service}, not of ${service}`,
          "give each service a control.socket of its own",
        ),
      };
    const { agentVersion, pid, startedAt, bus } = status;
    const found = `slotd ${agentVersion} answers on ${client.socketPath} (pid ${pid}, up ${age(startedAt, Date.now())})`;
    const agent = { status, workers: await client.workers() };
    if (bus.connected) return { agent, check: ok(name, found) };
    const since = `${found}, but has been without its bus for ${age(bus.since, Date.now())}`;
    return { agent, check: warn(name, since, `see the checks of the bus below; the agent says: ${bus.error}`) };
  } catch (error) {
    const unit = service === null ? "slotd@SERVICE" : `slotd@${service}`;
    return {
      agent: null,
      check: fail(name, shown(error).message, `systemctl status ${unit}; journalctl -u ${unit}`),
    };
  }
}
