import { ConfigInvalidError, SlotdError } from "../../../protocol/errors.ts";
import { loadConfig } from "../../config/load.ts";
import type { Config } from "../../config/schema.ts";
import { type Check, fail, ok } from "./check.ts";

const name = "configuration";

/** Loads the configuration, which every other check needs. Null if it is invalid, with a check for each mistake. */
export function checkConfiguration(path: string): { checks: Check[]; config: Config | null } {
  try {
    const config = loadConfig(path);
    const slots = Object.entries(config.slots).map(([slot, { port, workers }]) => `${slot} on ${port} with ${workers}`);
    return { config, checks: [ok(name, `${path}: ${config.service}; slots ${slots.join(", ")} workers`)] };
  } catch (error) {
    if (!(error instanceof SlotdError)) throw error;
    const mistakes = error instanceof ConfigInvalidError ? error.mistakes : [{ key: path, rule: error.message }];
    return { config: null, checks: mistakes.map(({ key, rule }) => fail(name, `${key} ${rule}`, howToFix(key, path))) };
  }
}

function howToFix(key: string, path: string): string {
  // A mistake of the file as a whole names the file, with the place in it where there is one.
  if (key === path) return "see that the file exists and that you may read it, or name another one with --config";
  return key.startsWith(`${path}:`) ? "fix the syntax there" : `fix ${key} in ${path}`;
}
