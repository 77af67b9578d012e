import { readdirSync } from "node:fs";
import { join } from "node:path";
import { nameSchema } from "../../protocol/names.ts";
import { SlotctlUsageError } from "./errors.ts";

/** Ways to say which agent is meant. */
export interface SocketChoice {
  /** `--socket` */
  socket?: string | undefined;
  /** `--service` */
  service?: string | undefined;
  /** SLOTD_SOCKET */
  environment?: string | undefined;
  runDirectory: string;
}

/**
 * The control socket to use: `--socket`, else that of `--service`, else SLOTD_SOCKET, else the only one there is.
 * @throws UsageError when there is none, or more than one, to choose from.
 */
export function chooseSocket({ socket, service, environment, runDirectory }: SocketChoice): string {
  if (socket) return socket;
  if (service) return join(runDirectory, `${checkedService(service)}.sock`);
  if (environment) return environment;
  const found = namesEnding(runDirectory, ".sock");
  const [only] = found;
  if (only && found.length === 1) return join(runDirectory, only);
  if (!only)
    throw new SlotctlUsageError(
      `there is no control socket in ${runDirectory}: is slotd running? Name one with --socket PATH, --service NAME or SLOTD_SOCKET`,
    );
  const services = found.map((name) => name.slice(0, -".sock".length));
  throw new SlotctlUsageError(
    `several agents run here (${services.join(", ")}); say which with --service NAME, --socket PATH or SLOTD_SOCKET`,
  );
}

/** A service's name, once it is one: it becomes part of a path. */
export function checkedService(service: string): string {
  if (!nameSchema.safeParse(service).success) throw new SlotctlUsageError(`--service ${service}: not a service's name`);
  return service;
}

/** Names in a directory with an ending, sorted; none where there is no directory. */
export function namesEnding(directory: string, ending: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith(ending))
      .sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return [];
    throw new SlotctlUsageError(
      `${directory} can't be listed (${code}); name the agent with --service NAME or --socket PATH`,
    );
  }
}
