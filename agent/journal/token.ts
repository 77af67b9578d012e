import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeDurably } from "../os/durable-file.ts";

/**
 * The secret word that this agent puts into its workers' environment, made once per state directory. It is kept apart from the
 * journal, so that workers are recognized also when the journal is lost.
 */
export function instanceToken(stateDirectory: string): string {
  const path = join(stateDirectory, "token");
  try {
    const token = readFileSync(path, "utf8").trim();
    if (/^[0-9a-f]{32}$/.test(token)) return token;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const token = randomBytes(16).toString("hex");
  writeDurably(path, `${token}\n`);
  return token;
}
