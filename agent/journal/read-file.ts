import { readFileSync } from "node:fs";
import { ConfigInvalidError } from "../../protocol/errors.ts";

/**
 * The text of one of the agent's own files; null where there is none.
 * @param next what to do where it can't be read
 * @throws ConfigInvalidError naming the file then: nothing is put in the place of what may be good.
 */
export function readOwnFile(path: string, next: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") return null;
    throw new ConfigInvalidError("state_directory", `holds ${path}, which can't be read (${message}); ${next}`, {
      cause,
    });
  }
}
