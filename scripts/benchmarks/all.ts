// all: every benchmark, one after the other; their figures together
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { start } from "./support/processes.ts";
import type { Figures, Target } from "./support/report.ts";
import { bench, type Run } from "./support/run.ts";

const NAMES = [
  "serve",
  "replace",
  "restart",
  "drain",
  "footprint",
  "install",
  "crash-install",
  "deploy",
  "scale",
  "chaos",
];

interface Line {
  figures: Figures;
  targets: Target[];
}

await bench("all", async (run) => {
  for (const name of NAMES) {
    run.say(`\n== ${name}`);
    const { figures, targets } = await runOne(run, name);
    for (const [figure, value] of Object.entries(figures)) run.report.figure(`${name}.${figure}`, value);
    for (const target of targets) run.report.target(`${name}: ${target.name}`, target.value, target.op, target.target);
  }
});

/** Runs one as a program of its own, passes on what it says to people, and keeps what it says to programs. */
async function runOne(run: Run, name: string): Promise<Line> {
  const program = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const options = ["--json", ...(run.quick ? ["--quick"] : [])];
  const child = await start(run, process.execPath, [program, ...options], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  let line: Line | undefined;
  for await (const text of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    if (text.startsWith('{"bench":')) line = JSON.parse(text) as Line;
    else run.say(text);
  }
  const [code] = await exited;
  if (!line) throw new Error(`benchmark ${name} ended with ${code}`);
  return line;
}
