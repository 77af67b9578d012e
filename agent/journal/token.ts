import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { writeDurablySync } from "../os/durable-file.ts";
import { readOwnFile } from "./read-file.ts";

/**
 * The secret word that this agent puts into its workers' environment, made once per state directory. It is kept apart
 * from the journal, so that workers are recognized also when the journal is lost.
 */
export function instanceToken(stateDirectory: string): string {
  const path = join(stateDirectory, "token");
  const written = readOwnFile(path, "let the agent's user read it: the workers that run are known by it")?.trim();
  if (written !== undefined && /^[0-9a-f]{32}$/.test(written)) return written;
  const token = randomBytes(16).toString("hex");
  writeDurablySync(path, `${token}\n`);
  return token;
}
