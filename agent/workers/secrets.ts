import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SecretUnreadableError } from "../../protocol/index.ts";
import type { Config } from "../config/schema.ts";

const MAX_BYTES = 64 * 1024;
/** Shorter values are words that may stand in any text. */
const REDACTED_FROM = 4;

/** The workers' secrets: read when a worker is started, given to it in its environment, and kept out of all that is told. */
export class Secrets {
  constructor(
    private readonly sources: Config["app"]["secrets"],
    /** Where systemd puts what `LoadCredential=` names: `$CREDENTIALS_DIRECTORY`. */
    private readonly credentials: string | undefined,
  ) {}

  /** The variables, read anew. @throws SecretUnreadableError naming the variable, never a value. */
  read(): Record<string, string> {
    return Object.fromEntries(Object.keys(this.sources).map((name) => [name, this.value(name)]));
  }

  /** A text without the values of secrets: an app may have written them into its output. */
  redact(text: string): string {
    let clean = text;
    for (const name of Object.keys(this.sources)) {
      try {
        const value = this.value(name);
        if (value.length >= REDACTED_FROM) clean = clean.replaceAll(value, `[${name}]`);
      } catch {
        // Not there any more: it can't be told what it was.
      }
    }
    return clean;
  }

  private value(name: string): string {
    const source = this.sources[name] as Config["app"]["secrets"][string];
    const path = "file" in source ? source.file : this.credentialPath(name, source.credential);
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (cause) {
      throw new SecretUnreadableError(name, (cause as Error).message, { cause });
    }
    if (Buffer.byteLength(text) > MAX_BYTES)
      throw new SecretUnreadableError(name, `${path} is over ${MAX_BYTES} bytes`);
    if (text.includes("\0")) throw new SecretUnreadableError(name, `${path} holds a NUL, which no variable can`);
    return text.replace(/\r?\n$/, "");
  }

  private credentialPath(name: string, credential: string): string {
    if (this.credentials) return join(this.credentials, credential);
    const how = `LoadCredential=${credential}:… in a drop-in of slotd@.service passes it`;
    throw new SecretUnreadableError(name, `systemd has passed no credentials to the agent; ${how}`);
  }
}
