import { deploySteps } from "../../protocol/deploy.ts";
import type { FleetStage } from "./stage.ts";

/** How long a verb of slotd-controller took. */
export interface TimedVerb {
  /** From the start of the command to its end. */
  seconds: number;
  /** From the line of one step to the line of the next. */
  steps: { step: string; seconds: number }[];
}

/** Runs a verb, and prints its lines as they come. */
export async function timedVerb(
  stage: FleetStage,
  words: readonly string[],
  say: (line: string) => void,
): Promise<TimedVerb> {
  const starts: { step: string; at: number }[] = [];
  const began = performance.now();
  await stage.controller(words, (line) => {
    const [step = ""] = line.split(" ");
    if ((deploySteps as readonly string[]).includes(step)) starts.push({ step, at: performance.now() });
    say(line);
  });
  const ended = performance.now();
  return {
    seconds: seconds(ended - began),
    steps: starts.map(({ step, at }, i) => ({ step, seconds: seconds((starts[i + 1]?.at ?? ended) - at) })),
  };
}

function seconds(ms: number): number {
  return Math.round(ms / 10) / 100;
}
