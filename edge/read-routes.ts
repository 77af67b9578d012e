import { type Routes, routesSchema } from "../protocol/index.ts";

/** Longer than any routes that are meant well. */
const MAX_CHARS = 64 * 1024;

/**
 * Reads the value under the routes' key. It may be anything.
 * @param epoch that of the routes before; a lower one is of a controller that was overtaken
 * @returns the routes, or what is wrong with them
 */
export function readRoutes(text: string, epoch: number): Routes | { broken: string } | { stale: number } {
  if (text.length > MAX_CHARS) return { broken: `is over ${MAX_CHARS} characters` };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { broken: "is not JSON" };
  }
  const parsed = routesSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return { broken: `${issue?.path.join(".") || "value"}: ${issue?.message}`.slice(0, 300) };
  }
  return parsed.data.epoch < epoch ? { stale: parsed.data.epoch } : parsed.data;
}
