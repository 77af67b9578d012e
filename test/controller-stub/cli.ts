import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../controller-stub/main.js", import.meta.url));

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
  /** The last line of stdout. */
  // biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect in it
  json(): any;
}

export interface Running {
  child: ChildProcess;
  /** The next line of stdout that matches. */
  line(pattern: RegExp): Promise<string>;
  ended: Promise<Ended>;
}

const running = new Set<ChildProcess>();

/** The compiled command as a process of its own, with the bus at `url`. */
export function start(url: string, args: readonly string[], env: Record<string, string> = {}): Running {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, SLOTD_NATS: url, USER: "tester", ...env },
  });
  running.add(child);
  child.once("exit", () => running.delete(child));
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const reader = createInterface({ input: child.stdout });
  reader.on("line", (line) => {
    lines.push(line);
    for (const look of waiting) look();
  });
  let read = 0;
  const line = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        while (read < lines.length) {
          const next = lines[read++] as string;
          if (!pattern.test(next)) continue;
          waiting.delete(look);
          return resolve(next);
        }
      };
      waiting.add(look);
      child.once("close", () => reject(new Error(`ended without ${pattern}:\n${lines.join("\n")}\n${stderr}`)));
      look();
    });
  const ended = Promise.all([once(child, "close"), once(reader, "close")]).then(([[code]]) => {
    const stdout = lines.join("\n");
    return { code, stdout, stderr, json: () => JSON.parse(lines.at(-1) ?? "") };
  });
  return { child, line, ended };
}

/** Runs the command to its end. */
export function run(url: string, ...args: string[]): Promise<Ended> {
  return start(url, args).ended;
}

/** For `afterEach`: a failed test leaves no process. */
export async function endAll(): Promise<void> {
  await Promise.all(
    [...running].map((child) => {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      return exited;
    }),
  );
}
