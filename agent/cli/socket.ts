import { readdirSync } from "node:fs";
import { join } from "node:path";
import { nameSchema } from "../../protocol/names.ts";
import { SlotctlUsageError } from "./errors.ts";

/** Ways to choose an agent. */
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
 * The control socket to use: `--socket`, else that of `--service`, else SLOTD_SOCKET, else the only one in the
 * directory.
 * @throws SlotctlUsageError if there is none or more than one.
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
    `several agents run here (${services.join(", ")}); choose one with --service NAME, --socket PATH or SLOTD_SOCKET`,
  );
}

/** Validates a service's name, which becomes part of a path. */
export function checkedService(service: string): string {
  if (!nameSchema.safeParse(service).success)
    throw new SlotctlUsageError(`--service ${service}: not a valid service name`);
  return service;
}

/** The sorted names in a directory that have an ending; empty if the directory does not exist. */
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
