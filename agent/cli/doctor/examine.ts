import { environment } from "../../os/process.ts";
import { ControlClient } from "../client.ts";
import { checkAgent, checkWarnings } from "./agent.ts";
import { checkLogin } from "./bus-login.ts";
import { checkServers, reachServers } from "./bus-servers.ts";
import type { Check } from "./check.ts";
import { checkCommand } from "./command.ts";
import { checkConfiguration } from "./configuration.ts";
import { checkDisk } from "./disk.ts";
import { checkOpenFiles } from "./limits.ts";
import { checkPort } from "./ports.ts";

const AGENT_TIMEOUT_MS = 3_000;

export interface DoctorTarget {
  configPath: string;
  /** The control socket, if not the configured one. */
  socket: string | undefined;
  /** The PATH to search if no agent runs. */
  path: string;
  signal: AbortSignal;
}

/** Runs all checks in order, and yields each result as soon as it is known. */
export async function* examine({ configPath, socket, path, signal }: DoctorTarget): AsyncGenerator<Check, void> {
  const { checks, config } = checkConfiguration(configPath);
  yield* checks;
  const socketPath = socket ?? config?.control.socket;
  if (socketPath === undefined) return;
  const answer = await checkAgent(new ControlClient(socketPath, signal, AGENT_TIMEOUT_MS), config?.service ?? null);
  yield answer.check;
  if (!config) return;
  const { agent } = answer;
  if (agent) yield* checkWarnings(agent);
  const reaches = await reachServers(config.nats.servers);
  yield* checkServers(reaches);
  if (reaches.some(({ why }) => why === null)) {
    const servers = config.nats.servers.filter((_, i) => reaches[i]?.why === null);
    yield await checkLogin(config.nats, servers);
  }
  const { service, bind: address } = config;
  for (const [slot, { port }] of Object.entries(config.slots)) yield checkPort({ service, slot, address, port }, agent);
  yield* checkDisk(config.state_directory);
  const workers = Object.values(config.slots).reduce((sum, slot) => sum + slot.workers, 0);
  const pid = agent?.status.pid ?? null;
  yield checkOpenFiles(workers, pid);
  yield checkCommand(config, (pid === null ? null : environment(pid)?.get("PATH")) ?? path);
}
