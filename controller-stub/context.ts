import type { Command } from "commander";
import { type BusSession, connectBus, defaultTimeoutMs } from "../bus/session.ts";
import { chooseLogin } from "./login.ts";
import type { ControllerOptions } from "./options.ts";
import type { CommandOutput } from "./terminal/output.ts";
import { type Malformed, malformedText, type OnMalformed } from "./values/malformed.ts";

/** What a verb works with. */
export interface Context {
  output: CommandOutput;
  signal: AbortSignal;
  /** For what options leave open: SLOTD_NATS and the other variables of a login. */
  environment: NodeJS.ProcessEnv;
  /** Who runs the command, for orders without `--by`. */
  user: string;
  /** Asks a question that is answered with yes or no; null where there is no terminal to ask on. */
  ask: ((question: string) => Promise<boolean>) | null;
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

/** The values on the bus that a verb came across and left out. Each is warned of once. */
export class LeftOut {
  readonly all: Malformed[] = [];
  private readonly warned = new Set<string>();

  constructor(private readonly output: Pick<CommandOutput, "warn">) {}

  readonly note: OnMalformed = (malformed) => {
    const text = malformedText(malformed);
    if (this.warned.has(text)) return;
    this.warned.add(text);
    this.all.push(malformed);
    this.output.warn(text);
  };
}
