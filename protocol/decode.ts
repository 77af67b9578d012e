import type { z } from "zod";

/** Longer than anything that a program of slotd writes into a bucket, except for the record of a deploy. */
export const maxValueChars = 256 * 1024;
/** The record of a deploy names every host. A server takes messages of 1 MiB. */
export const maxDeployChars = 1024 * 1024;
/** A message may repeat a name of any length. */
const MAX_RULE_CHARS = 300;

/** What was decoded, or the rule that the text breaks: `must be …`, or `PATH: RULE`. */
export type Decoded<T> = { value: T } | { broken: string };

/** Reads a value that somebody else wrote: a key of a bucket, a file. It may be anything. */
export function decode<S extends z.ZodType>(schema: S, text: string, maxChars?: number): Decoded<z.infer<S>> {
  const json = parseJson(text, maxChars);
  if ("broken" in json) return json;
  const parsed = schema.safeParse(json.value);
  if (parsed.success) return { value: parsed.data };
  const [issue] = parsed.error.issues;
  return { broken: `${issue?.path.join(".") || "value"}: ${issue?.message}`.slice(0, MAX_RULE_CHARS) };
}

/** The same without a schema. */
export function parseJson(text: string, maxChars = maxValueChars): Decoded<unknown> {
  if (text.length > maxChars) return { broken: `must be at most ${maxChars} characters long` };
  try {
    return { value: JSON.parse(text) };
  } catch {
    return { broken: "must be JSON" };
  }
}
