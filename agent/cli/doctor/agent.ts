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

/** The agent's own warnings. Each ends with what to do about it. */
export function checkWarnings({ status }: LiveAgent): Check[] {
  const { warnings, lastError, service } = status;
  const checks = warnings.map((warning) => {
    const at = warning.lastIndexOf("; ");
    if (at === -1) return warn("agent", warning, `journalctl -u slotd@${service} may say more`);
    return warn("agent", warning.slice(0, at), warning.slice(at + 2));
  });
  if (lastError?.code === "HOST_NAME_TAKEN") checks.push(fail("host name", lastError.message, "see the message"));
  return checks;
}

/** Whether an agent answers, and runs the configured service. */
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
          `the agent on ${client.socketPath} runs service ${status.service}, not ${service}`,
          "give each service its own control.socket",
        ),
      };
    const { agentVersion, pid, startedAt, bus } = status;
    const found = `slotd ${agentVersion} answers on ${client.socketPath} (pid ${pid}, up ${age(startedAt, Date.now())})`;
    const agent = { status, workers: await client.workers() };
    if (bus.connected) return { agent, check: ok(name, found) };
    const since = `${found}, but has had no connection to the bus for ${age(bus.since, Date.now())}`;
    return { agent, check: warn(name, since, `see the bus checks below; the agent's error: ${bus.error}`) };
  } catch (error) {
    const unit = service === null ? "slotd@SERVICE" : `slotd@${service}`;
    return {
      agent: null,
      check: fail(name, shown(error).message, `systemctl status ${unit}; journalctl -u ${unit}`),
    };
  }
}
