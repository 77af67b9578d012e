import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SecretUnreadableError } from "../../../protocol/errors.ts";
import type { Config } from "../../config/schema.ts";

const MAX_BYTES = 64 * 1024;
/** Shorter values are words that may stand in any text. */
const REDACTED_FROM = 4;
/** Of each secret: workers may still have the value before the last change. */
const REMEMBERED = 4;

/** The workers' secrets: read when a worker starts, passed in its environment, and redacted from everything else. */
export class Secrets {
  /** The values that were read lately, the newest first, by variable. */
  private readonly seen = new Map<string, readonly string[]>();

  constructor(
    private readonly sources: Config["app"]["secrets"],
    /** Where systemd puts what `LoadCredential=` names: `$CREDENTIALS_DIRECTORY`. */
    private readonly credentials: string | undefined,
  ) {}

  /** The variables, read anew. @throws SecretUnreadableError naming the variable, never a value. */
  readValues(): Record<string, string> {
    return Object.fromEntries(Object.keys(this.sources).map((name) => [name, this.value(name)]));
  }

  /** A text without the values of secrets: an app may have written them into its output. */
  redact(text: string): string {
    let clean = text;
    for (const { name, piece } of this.pieces()) {
      clean = clean.replaceAll(piece, `[${name}]`);
      // The text may begin in the middle of what was written.
      const cut = cutAtFront(clean, piece);
      if (cut > 0) clean = `[${name}]${clean.slice(cut)}`;
    }
    return clean;
  }

  /**
   * What must not be told, the longest first: one value may be part of another. A text may have a value's lines one by
   * one.
   */
  private pieces(): { name: string; piece: string }[] {
    const names = Object.keys(this.sources);
    const all = names.flatMap((name) =>
      this.known(name).flatMap((value) =>
        [value, ...value.split("\n")].map((piece) => ({ name, piece: piece.trim() })),
      ),
    );
    return all.filter(({ piece }) => piece.length >= REDACTED_FROM).sort((x, y) => y.piece.length - x.piece.length);
  }

  private known(name: string): readonly string[] {
    try {
      // A worker of an earlier agent may have written what this one has not read yet.
      this.value(name);
    } catch {
      // Not there any more: what was read before has to do.
    }
    return this.seen.get(name) ?? [];
  }

  private value(name: string): string {
    const value = readValue(name, this.path(name));
    const others = (this.seen.get(name) ?? []).filter((other) => other !== value);
    this.seen.set(name, [value, ...others].slice(0, REMEMBERED));
    return value;
  }

  private path(name: string): string {
    const source = this.sources[name] as Config["app"]["secrets"][string];
    if ("file" in source) return source.file;
    if (this.credentials) return join(this.credentials, source.credential);
    const how = `LoadCredential=${source.credential}:… in a drop-in of slotd@.service passes it`;
    throw new SecretUnreadableError(name, `systemd has passed no credentials to the agent; ${how}`);
  }
}

/** A file's text without its last line break. */
function readValue(name: string, path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const { message } = cause as Error;
    // Not every failure says which file it was.
    throw new SecretUnreadableError(name, message.includes(path) ? message : `${path}: ${message}`, { cause });
  }
  if (bytes.length > MAX_BYTES) throw new SecretUnreadableError(name, `${path} is over ${MAX_BYTES} bytes`);
  if (bytes.includes(0)) throw new SecretUnreadableError(name, `${path} holds a NUL, which no variable can`);
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return text.replace(/\r?\n$/, "");
  } catch {
    throw new SecretUnreadableError(name, `${path} is not UTF-8`);
  }
}

/** How many characters at a text's front are the end of something that was longer. */
function cutAtFront(text: string, whole: string): number {
  for (let length = Math.min(whole.length - 1, text.length); length >= REDACTED_FROM; length--)
    if (text.startsWith(whole.slice(-length))) return length;
  return 0;
}
