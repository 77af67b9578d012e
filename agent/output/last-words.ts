import type { WorkerOutput, Writer } from "./worker-output.ts";

/** Lines without information: a stack's frames, lone brackets. */
const NOISE = /^(at .*|[\]})({[,;]*)?$/;
const MAX_LENGTH = 600;
/** Of these, what says nothing is left out. */
const LOOKED_AT = 40;

/** The last lines of a worker that say something, on one line, for a message. Empty where there are none. */
export async function lastWords(
  output: WorkerOutput,
  writer: Writer,
  redact: (text: string) => string = (text) => text,
  lines = 8,
): Promise<string> {
  const all = await output.lastLines(writer, LOOKED_AT);
  return redact(all.join("\n"))
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => !NOISE.test(line))
    .slice(-lines)
    .join(" | ")
    .slice(-MAX_LENGTH);
}
