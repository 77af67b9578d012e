import type { Command } from "commander";
import { type BusSession, connectBus, defaultTimeoutMs } from "../bus/session.ts";
import { chooseLogin } from "./login.ts";
import type { GlobalOptions } from "./options.ts";
import type { Output } from "./terminal/output.ts";

/** What a verb has to work with. */
export interface Context {
  output: Output;
  signal: AbortSignal;
  /** For what options leave open: SLOTD_NATS and the other variables of a login. */
  environment: NodeJS.ProcessEnv;
  /** Who runs the command, for orders without `--by`. */
  user: string;
}

export function globals(command: Command): GlobalOptions {
  return command.optsWithGlobals<GlobalOptions>();
}

/** Connects as the global options say, and closes the connection whatever happens. */
export async function withBus<T>(
  context: Context,
  command: Command,
  use: (bus: BusSession) => Promise<T>,
  { timeoutMs }: { timeoutMs?: number } = {},
): Promise<T> {
  const options = globals(command);
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

/** Says that a value on the bus could not be read, and goes on without it. The same is said once. */
export function warnMalformed({ output }: Context): (key: string, why: string) => void {
  const said = new Set<string>();
  return (key, why) => {
    const text = `the status under ${key} can't be read and is left out: ${why}`;
    if (!said.has(text)) output.warn(text);
    said.add(text);
  };
}
