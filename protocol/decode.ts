import type { z } from "zod";

/** Longer than anything that is meant well. */
const MAX_CHARS = 64 * 1024;

/**
 * Reads a value of a bucket. It may be anything.
 * @returns what the schema makes of it, or the rule that it breaks
 */
export function decode<S extends z.ZodType>(schema: S, text: string): { value: z.infer<S> } | { broken: string } {
  if (text.length > MAX_CHARS) return { broken: `is over ${MAX_CHARS} characters` };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { broken: "is not JSON" };
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return { value: parsed.data };
  const [issue] = parsed.error.issues;
  return { broken: `${issue?.path.join(".") || "value"}: ${issue?.message}`.slice(0, 300) };
}
