import type { LocalFile } from "./local-file.ts";

/** A small text that may be put in the place of another, and what it was when it was read. */
export interface StoredText {
  text: string;
  /** As the target tells one writing from another; null where it can't. */
  revision: string | number | null;
}

/** Where releases are published to. Names have `/` between their parts. Content under a name never changes, but for texts. */
export interface PublishTarget {
  /** For messages. */
  readonly where: string;
  /** Where a host fetches what has this name. */
  addressOf(name: string): string;
  /** The SHA-256 of what has this name; null: nothing has. */
  digestOf(name: string): Promise<string | null>;
  /** Puts a file under a name that nothing has. @returns false where something has it, or got it in the meantime. */
  createFile(name: string, file: LocalFile, onBytes: (doneBytes: number) => void): Promise<boolean>;
  fetchText(name: string): Promise<StoredText | null>;
  /** Puts a text in the place of what was read. @returns false where another one was put there in the meantime. */
  replaceText(name: string, text: string, was: StoredText | null): Promise<boolean>;
}
