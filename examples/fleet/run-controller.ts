import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const CONTROLLER = fileURLToPath(new URL("../../controller-stub/main.js", import.meta.url));
const LAST_LINES = 5;

export function controllerCommand(nats: string, words: readonly string[]): string[] {
  return [process.execPath, CONTROLLER, "--nats", nats, ...words];
}

/**
 * Runs a verb of slotd-controller to its end, and hands on each line that it prints, as it comes.
 * @throws with its last lines where it fails; the signal's reason where that ended it
 */
export async function runController(
  nats: string,
  words: readonly string[],
  hear: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const [node = "", ...rest] = controllerCommand(nats, words);
  // It may be killed at any moment: that is what its lock and its record are for.
  const child = spawn(node, rest, { stdio: ["ignore", "pipe", "pipe"], signal, killSignal: "SIGKILL" });
  const last: string[] = [];
  const read = (line: string) => {
    if (last.push(line) > LAST_LINES) last.shift();
    hear(line);
  };
  createInterface({ input: child.stdout }).on("line", read);
  createInterface({ input: child.stderr }).on("line", read);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("close", resolve);
    child.once("error", (error) => {
      // One that was killed by the signal is still waited for.
      if (child.pid === undefined) reject(error);
    });
  });
  signal.throwIfAborted();
  if (code !== 0) throw new Error(`slotd-controller ${words.join(" ")} ended with ${code}:\n${last.join("\n")}`);
}
