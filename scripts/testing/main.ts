/**
 * Runs the test files with node:test, then looks for what they left behind. ./scripts/test has built everything, and
 * checked the arguments.
 *   node main.js [--quick] [--json] [WORD…]
 */
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { compiled, testFiles, whySlow } from "./files.ts";
import { clearLeftovers, describeLeftovers, RUN, settledLeftovers, type TestRun } from "./leftovers.ts";

const args = process.argv.slice(2);
const isQuick = args.includes("--quick");
const words = args.filter((argument) => !argument.startsWith("--"));

const pattern = new RegExp(words.join("|"));
const files = testFiles(".").filter((path) => pattern.test(path) && !(isQuick && whySlow(".", path) !== null));
if (files.length === 0) {
  console.error(`error: no ${isQuick ? "quick " : ""}test file matches: ${words.join(" ")}`);
  process.exit(1);
}

const began = performance.now();
const run: TestRun = { id: randomBytes(4).toString("hex"), directory: mkdtempSync(join(tmpdir(), "slotd-tests-")) };
// As /tmp: some programs of a test are other users'.
chmodSync(run.directory, 0o1777);
const report = `${run.directory}.tap`;
const code = await runTests(files);
const left = describeLeftovers(await settledLeftovers(run));
if (left.length > 0) {
  console.error(`error: the tests left something behind:\n${left.map((line) => `  ${line}`).join("\n")}`);
  const stays = describeLeftovers(await clearLeftovers(run, (path) => execFileSync("umount", [path])));
  for (const line of stays) console.error(`error: could not be removed: ${line}`);
}
if (args.includes("--json")) console.log(JSON.stringify(summary(report)));
rmSync(run.directory, { recursive: true, force: true });
rmSync(report, { force: true });
process.exitCode = code === 0 && left.length > 0 ? 1 : code;

/**
 * @returns the exit code of the runner; SIGINT and SIGTERM are its to hear, and end it, so that what was left is looked
 * for all the same
 */
async function runTests(paths: string[]): Promise<number> {
  const runner = [
    ...["--test", `--test-concurrency=${availableParallelism() + 1}`],
    ...["--test-reporter=spec", "--test-reporter-destination=stdout"],
    ...["--test-reporter=tap", `--test-reporter-destination=${report}`],
  ];
  const child = spawn(process.execPath, [...runner, ...paths.map(compiled)], {
    stdio: "inherit",
    env: { ...process.env, TMPDIR: run.directory, [RUN]: run.id },
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  const [status] = (await once(child, "exit")) as [number | null];
  return status ?? 1;
}

function summary(path: string): Record<"passed" | "failed" | "skipped" | "seconds", number> {
  const text = readFileSync(path, "utf8");
  const count = (name: string) => Number([...text.matchAll(new RegExp(`^# ${name} (\\d+)$`, "gm"))].at(-1)?.[1] ?? 0);
  const seconds = Math.round((performance.now() - began) / 1_000);
  return { passed: count("pass"), failed: count("fail") + count("cancelled"), skipped: count("skipped"), seconds };
}
