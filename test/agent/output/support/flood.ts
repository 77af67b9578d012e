import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { TestContext } from "node:test";
import { FileOutput } from "../../../../agent/output/files.ts";
import { until } from "../../../support/until.ts";
import { ALL, type Fixture, MIB } from "./fixture.ts";

/**
 * A worker writes as fast as it can for three seconds, while its file is trimmed every second, as the agent does it,
 * and followed.
 */
export async function flood(
  t: TestContext,
  fixture: Fixture,
  { maxBytes, size }: { maxBytes: number; size: () => number },
): Promise<void> {
  const output = new FileOutput(fixture.directory, maxBytes);
  // It says at its end how much it wrote in all, and in its fastest second. Half a second more is what a busy machine
  // adds.
  const script = `const {writeSync} = require("node:fs"); const chunk = Buffer.from(("x".repeat(127) + "\\n").repeat(512));
    const begin = performance.now(); const tenths = Array(31).fill(0); let left = 600e6;
    for (let now = begin; now < begin + 3000 && left > 0; now = performance.now()) {
      const wrote = writeSync(1, chunk); left -= wrote; tenths[Math.floor((now - begin) / 100)] += wrote; }
    const seconds = tenths.map((_, i) => tenths.slice(i, i + 15).reduce((sum, bytes) => sum + bytes));
    require("node:fs").writeFileSync(${JSON.stringify(fixture.path("written"))}, JSON.stringify([600e6 - left, Math.max(...seconds)]));`;
  let told = 0;
  let torn = 0;
  const gone = new AbortController();
  const reading = (async () => {
    for await (const { line } of output.read(ALL, gone.signal)) {
      told++;
      if (line !== "x".repeat(127)) torn++;
    }
  })();
  fixture.undo.push(async () => {
    gone.abort();
    await reading;
  });
  const begin = performance.now();
  const child = fixture.start(output, script);
  const trimming = setInterval(() => void output.trim(), 1_000);
  fixture.undo.push(() => clearInterval(trimming));
  let largest = 0;
  let latest = performance.now();
  let longestTurn = 0;
  await until(
    "it has written",
    () => {
      longestTurn = Math.max(longestTurn, performance.now() - latest);
      latest = performance.now();
      largest = Math.max(largest, size());
      return child.exitCode !== null;
    },
    { everyMs: 5, timeoutMs: 60_000 },
  );
  assert.equal(child.exitCode, 0);
  const seconds = (performance.now() - begin) / 1_000;
  const [written, inASecond] = JSON.parse(readFileSync(fixture.path("written"), "utf8")) as [number, number];
  const rate = written / seconds;
  t.diagnostic(`${Math.round(rate / MIB)} MiB/s; largest ${Math.round(largest / MIB)} MiB; ${told} lines told`);
  t.diagnostic(`longest turn of the event loop: ${Math.round(longestTurn)} ms`);
  assert(largest <= maxBytes + inASecond, `${largest} bytes, ${inASecond} of them in a second`);
  assert(told > 0);
  assert.equal(torn, 0, "lines are left out whole");
  // The first may be one that is under way, and has seen this file before.
  for (let check = 0; check < 2; check++) await output.trim();
  assert(size() <= maxBytes);
}
