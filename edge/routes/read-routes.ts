import { decode } from "../../protocol/decode.ts";
import { type Routes, routesSchema } from "../../protocol/routes.ts";

/**
 * Reads the value under the routes' key. It may be anything.
 * @param epoch that of the routes before; a lower one is of a controller that was overtaken
 * @returns the routes, or what is wrong with them
 */
export function readRoutes(text: string, epoch: number): Routes | { broken: string } | { stale: number } {
  const parsed = decode(routesSchema, text);
  if ("broken" in parsed) return parsed;
  return parsed.value.epoch < epoch ? { stale: parsed.value.epoch } : parsed.value;
}
