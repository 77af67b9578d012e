import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const CONTROLLER = fileURLToPath(new URL("../../controller-stub/main.js", import.meta.url));
const LAST_LINES = 5;

export function controllerCommand(nats: string, words: readonly string[]): string[] {
  return [process.execPath, CONTROLLER, "--nats", nats, ...words];
}

/**
 * Runs a verb of slotd-controller to its end, and calls back with each line that it prints.
 * @throws an error with its last lines if it fails; the signal's reason if that ended it
 */
export async function runController(
  nats: string,
  words: readonly string[],
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const [node = "", ...rest] = controllerCommand(nats, words);
  // It may be killed at any moment: its lock and its record are made for that.
  const child = spawn(node, rest, { stdio: ["ignore", "pipe", "pipe"], signal, killSignal: "SIGKILL" });
  const last: string[] = [];
  const read = (line: string) => {
    if (last.push(line) > LAST_LINES) last.shift();
    onLine(line);
  };
  createInterface({ input: child.stdout }).on("line", read);
  createInterface({ input: child.stderr }).on("line", read);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("close", resolve);
    child.once("error", (error) => {
      // Wait for a process that the signal killed.
      if (child.pid === undefined) reject(error);
    });
  });
  signal.throwIfAborted();
  if (code !== 0) throw new Error(`slotd-controller ${words.join(" ")} ended with ${code}:\n${last.join("\n")}`);
}
