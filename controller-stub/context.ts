import type { Command } from "commander";
import { type BusSession, connectBus, defaultTimeoutMs } from "../bus/session.ts";
import { chooseLogin } from "./login.ts";
import type { ControllerOptions } from "./options.ts";
import type { CommandOutput } from "./terminal/output.ts";

/** What a verb works with. */
export interface Context {
  output: CommandOutput;
  signal: AbortSignal;
  /** For what options leave open: SLOTD_NATS and the other variables of a login. */
  environment: NodeJS.ProcessEnv;
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
  use: (bus: BusSession) => Promise<T>,
  { timeoutMs }: { timeoutMs?: number } = {},
): Promise<T> {
  const options = globalOptions(command);
  const { timeout, replicas } = options;
  const bus = await connectBus({
    login: chooseLogin(options, context.environment),
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
