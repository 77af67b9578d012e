import type { OutputStart, WorkerOutput, Writer } from "./worker-output.ts";

/** Lines without information: a stack's frames, lone brackets. */
const NOISE = /^(at .*|[\]})({[,;]*)?$/;
const MAX_LENGTH = 600;
/** Of these, what says nothing is left out. */
const LOOKED_AT = 40;

/**
 * The last lines of a worker's process that say something, on one line, for a message. Empty where there are none, or
 * where its output can't be told from that of the processes before it.
 * @param start of the process; null where it is not known
 */
export async function lastWords(
  output: WorkerOutput,
  writer: Writer,
  start: OutputStart | null,
  redact: (text: string) => string = (text) => text,
  lines = 8,
): Promise<string> {
  const all = start === null ? [] : await output.lastLines(writer, start, LOOKED_AT);
  return redact(all.join("\n"))
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => !NOISE.test(line))
    .slice(-lines)
    .join(" | ")
    .slice(-MAX_LENGTH);
}
