import type { LocalFile } from "./local-file.ts";

/** A small text that may be replaced, as it was when it was read. */
export interface StoredText {
  text: string;
  /** Tells one write from another; null where the target can't. */
  revision: string | number | null;
}

/**
 * Where releases are published. The parts of a name are separated by `/`. Files never change under their name; texts
 * may.
 */
export interface PublishTarget {
  /** For messages. */
  readonly where: string;
  /** Where a host fetches this name. */
  addressOf(name: string): string;
  /** The SHA-256 of the file with this name; null where there is none. */
  digestOf(name: string): Promise<string | null>;
  /** Stores a file under a name that is free. @returns false where the name is taken */
  createFile(name: string, file: LocalFile, onBytes: (doneBytes: number) => void): Promise<boolean>;
  fetchText(name: string): Promise<StoredText | null>;
  /** Replaces the text that was read. @returns false where somebody else has replaced it since */
  replaceText(name: string, text: string, was: StoredText | null): Promise<boolean>;
}
