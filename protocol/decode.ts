import type { z } from "zod";

/** Longer than anything that a program of slotd writes into a bucket, where a server takes messages of 1 MiB. */
const MAX_CHARS = 1024 * 1024;
/** A message may repeat a name of any length. */
const MAX_RULE_CHARS = 300;

/** What was decoded, or the rule that the text breaks: `must be …`, or `PATH: RULE`. */
export type Decoded<T> = { value: T } | { broken: string };

/** Reads a value that somebody else wrote: a key of a bucket, a file. It may be anything. */
export function decode<S extends z.ZodType>(schema: S, text: string): Decoded<z.infer<S>> {
  const json = parseJson(text);
  if ("broken" in json) return json;
  const parsed = schema.safeParse(json.value);
  if (parsed.success) return { value: parsed.data };
  const [issue] = parsed.error.issues;
  return { broken: `${issue?.path.join(".") || "value"}: ${issue?.message}`.slice(0, MAX_RULE_CHARS) };
}

/** The same without a schema. */
export function parseJson(text: string): Decoded<unknown> {
  if (text.length > MAX_CHARS) return { broken: `must be at most ${MAX_CHARS} characters long` };
  try {
    return { value: JSON.parse(text) };
  } catch {
    return { broken: "must be JSON" };
  }
}
