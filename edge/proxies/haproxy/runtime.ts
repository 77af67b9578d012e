import { connect } from "node:net";
import { ProxyDownError } from "../contract.ts";

const PROMPT = "\n> ";
/** Half of HAProxy's buffer for a command, 16 KiB. */
const MAX_COMMAND_BYTES = 8_192;

/**
 * Runs commands over one connection to HAProxy's runtime API. Returns their answers in order, each trimmed.
 * @param socket path of the unix socket
 * @throws ProxyDownError if HAProxy does not answer in time
 */
export function runCommands(
  socket: string,
  commands: readonly string[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string[]> {
  for (const command of commands)
    if (/[\n;\\]/.test(command) || command.length > MAX_COMMAND_BYTES)
      throw new Error(`not a single command: ${JSON.stringify(command).slice(0, 80)}`);
  if (commands.length === 0) return Promise.resolve([]);
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const connection = connect(socket);
    const chunks: Buffer[] = [];
    const down = (why: string, cause?: Error) => new ProxyDownError(`HAProxy at ${socket}: ${why}`, { cause });
    const timer = setTimeout(() => settle(down(`no answer in ${timeoutMs} ms`)), timeoutMs);
    const onAbort = () => settle(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    const settle = (outcome: Error | string[]) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      connection.destroy();
      if (outcome instanceof Error) reject(outcome);
      else resolve(outcome);
    };
    connection.on("data", (bytes: Buffer) => chunks.push(bytes));
    connection.on("error", (cause) => settle(down(cause.message, cause)));
    connection.on("close", () => {
      const [, ...answers] = Buffer.concat(chunks).toString("utf8").split(PROMPT);
      if (answers.length < commands.length) settle(down("it closed the connection"));
      else settle(answers.slice(0, commands.length).map((answer) => answer.trim()));
    });
    connection.write(`prompt\n${commands.join("\n")}\nquit\n`);
  });
}
