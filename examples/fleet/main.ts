import { once } from "node:events";
import pc from "picocolors";
import { drawTimeline } from "./draw-timeline.ts";
import { fleetOutcomeTable } from "./outcome-table.ts";
import { inWords } from "./routes-log.ts";
import { FleetStage } from "./stage.ts";
import { type FleetOutcome, fleetSucceeded, tellFleetStory } from "./story.ts";
import { whatToTry } from "./what-to-try.ts";

const LONGEST_MS = 480_000;
const MARGIN = 12;

const json = process.argv.includes("--json");
const keep = process.argv.includes("--keep");
// With --json the story is told on standard error, so that the last line of the output is the object.
const stream = json ? process.stderr : process.stdout;
const colours = pc.createColors(stream.isTTY === true && !process.env.NO_COLOR);
const say = (line: string) => void stream.write(`${line}\n`);

const ended = new AbortController();
const end = (why: string) => ended.abort(new Error(why));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => end(`ended by ${signal}`));
// The reader has left, as with `| head`.
for (const each of [process.stdout, process.stderr]) each.on("error", () => end("the reader has left"));
const late = setTimeout(() => end(`not done within ${LONGEST_MS / 1000} s`), LONGEST_MS);

const stage = new FleetStage(ended.signal);
process.exitCode = 1;
try {
  const outcome = await tellFleetStory(stage, { say, colours, keep });
  clearTimeout(late);
  const width = Math.min(120, Math.max(40, (stream.columns ?? 100) - MARGIN));
  say(`\n${drawTimeline(outcome.buckets, inWords(outcome.routes), width, colours).join("\n")}`);
  say(`\n${fleetOutcomeTable(outcome, colours)}`);
  if (keep) {
    say(whatToTry(stage));
    if (!ended.signal.aborted) await once(ended.signal, "abort");
  }
  await stage.clear();
  if (json) console.log(JSON.stringify(inShort(outcome)));
  if (fleetSucceeded(outcome)) process.exitCode = 0;
} catch (error) {
  // A failure after the demo was told to end is a consequence of that.
  const { message } = (ended.signal.aborted ? ended.signal.reason : error) as Error;
  if (json) console.log(JSON.stringify({ demo: "fleet", error: message }));
  console.error(`error: ${message}`);
} finally {
  clearTimeout(late);
  await stage.clear();
  // What was running when the demo was told to end may wait for something that is gone.
  if (ended.signal.aborted) process.exit();
}

/** The outcome for programs, without the timeline. */
function inShort({ buckets: _, routes, rollback, ...figures }: FleetOutcome) {
  const edges = stage.edges.map(({ name, kind }) => ({ name, kind }));
  const marks = inWords(routes);
  return { demo: "fleet", hosts: stage.hosts.length, edges, ...figures, rollbackSeconds: rollback.seconds, marks };
}
