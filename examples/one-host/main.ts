import { Stage } from "./stage.ts";
import { outcomeTable, succeeded, tell } from "./story.ts";

const json = process.argv.includes("--json");
const keep = process.argv.includes("--keep");
// With --json the story is told on standard error, so that the last line of the output is the object.
const say = (line: string) => (json ? console.error(line) : console.log(line));

let stage: Stage | undefined;
const clear = async () => {
  await stage?.clear();
  stage = undefined;
};
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => void clear().then(() => process.exit(1)));

try {
  stage = await Stage.set();
  const outcome = await tell(stage, say);
  say(`\n${outcomeTable(outcome)}`);
  if (keep) await untilInterrupted(stage);
  const { requests, failed, byVersion, pidsBefore, pidsAfter, registrationKept, drain } = outcome;
  if (json)
    console.log(
      JSON.stringify({ demo: "one-host", requests, failed, byVersion, pidsBefore, pidsAfter, registrationKept, drain }),
    );
  process.exitCode = succeeded(outcome) ? 0 : 1;
} catch (error) {
  console.error(`error: ${(error as Error).message}`);
  process.exitCode = 1;
} finally {
  await clear();
}

async function untilInterrupted(stage: Stage): Promise<void> {
  const quote = (words: string[]) => words.map((word) => word.replace(`${process.cwd()}/`, "./")).join(" ");
  say(`
Everything keeps running. In another terminal:
  ${quote(stage.slotctlCommand("status", "--watch"))}
  ${quote(stage.slotctlCommand("workers"))}
  ${quote(stage.slotctlCommand("logs", "-f"))}
  ${quote(stage.slotctlCommand("drain", "a"))}        (and undrain, restart)
  ${quote(stage.controllerCommand("status", "web"))}
  curl ${stage.host.url("a")}
  ${quote(stage.controllerCommand("install", "web", "1.0.0", "--slot", "b", "--host", stage.host.name, "--wait"))}
The configuration is ${stage.host.configFile}, the agent's log ${stage.host.logFile}.
Ctrl-C ends everything.`);
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.removeAllListeners(signal);
      process.once(signal, () => resolve());
    }
  });
}
