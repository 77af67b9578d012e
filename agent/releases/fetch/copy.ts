import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";

/** The part of an archive that is here: a growing file, and the digest of its contents. */
export class ArchiveCopy {
  /** How many bytes are here. */
  kept = 0;
  /** How many responses they came in. */
  parts = 0;
  private hash = createHash("sha256");

  private constructor(private readonly file: FileHandle) {}

  static async create(path: string): Promise<ArchiveCopy> {
    return new ArchiveCopy(await open(path, "w", 0o600));
  }

  /** Prepares for a response that begins at `from`: at the end of the file, or at 0, which discards its contents. */
  async begin(from: number): Promise<void> {
    if (from === 0) await this.clear();
    this.parts++;
  }

  async clear(): Promise<void> {
    await this.file.truncate(0);
    this.hash = createHash("sha256");
    this.kept = 0;
    this.parts = 0;
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      at += (await this.file.write(bytes, at, bytes.length - at, this.kept + at)).bytesWritten;
    }
    this.hash.update(bytes);
    this.kept += bytes.length;
  }

  sha256(): string {
    return this.hash.copy().digest("hex");
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}
