import { SlotdError } from "../../../protocol/errors.ts";
import { loadConfig } from "../../config/load.ts";
import type { Config } from "../../config/schema.ts";
import { type Check, fail, ok } from "./check.ts";

/** Loads the configuration, which every other check needs. */
export function checkConfiguration(path: string): { check: Check; config: Config | null } {
  const name = "configuration";
  try {
    const config = loadConfig(path);
    const slots = Object.entries(config.slots).map(([slot, { port, workers }]) => `${slot} on ${port} with ${workers}`);
    return { config, check: ok(name, `${path}: ${config.service}; slots ${slots.join(", ")} workers`) };
  } catch (error) {
    if (!(error instanceof SlotdError)) throw error;
    return {
      config: null,
      check: fail(name, error.message, error.field === path ? `fix ${path}` : `fix ${error.field} in ${path}`),
    };
  }
}
