import type { Command } from "commander";
import { type Bus, connectBus, defaultServer, defaultTimeoutMs } from "./bus.ts";
import { type ControllerOptions, splitList } from "./options.ts";
import type { CommandOutput } from "./terminal/output.ts";

/** What a verb works with. */
export interface Context {
  output: CommandOutput;
  signal: AbortSignal;
  /** SLOTD_NATS. */
  natsFromEnv: string | undefined;
  /** Who runs the command, for orders without `--by`. */
  user: string;
}

export function globalOptions(command: Command): ControllerOptions {
  return command.optsWithGlobals<ControllerOptions>();
}

/** Connects as the global options say, and closes the connection at the end. */
export async function withBus<T>(
  context: Context,
  command: Command,
  use: (bus: Bus) => Promise<T>,
  { timeoutMs }: { timeoutMs?: number } = {},
): Promise<T> {
  const { nats, creds, timeout, replicas } = globalOptions(command);
  const fromEnv = splitList(context.natsFromEnv ?? "");
  const bus = await connectBus({
    servers: nats ?? (fromEnv.length > 0 ? fromEnv : [defaultServer]),
    credsFile: creds,
    timeoutMs: timeoutMs ?? timeout ?? defaultTimeoutMs,
    replicas,
    signal: context.signal,
  });
  try {
    return await use(bus);
  } finally {
    await bus.close();
  }
}

/** Warns of a value on the bus that can't be read and is left out. The same warning is printed once. */
export function warnMalformed({ output }: Context): (key: string, why: string) => void {
  const warned = new Set<string>();
  return (key, why) => {
    const text = `the status under ${key} can't be read and is left out: ${why}`;
    if (!warned.has(text)) output.warn(text);
    warned.add(text);
  };
}
