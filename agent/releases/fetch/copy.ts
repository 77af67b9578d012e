import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";

/** What is here of an archive: a file that grows at its end, and the digest of what is in it. */
export class ArchiveCopy {
  /** Bytes that are here. */
  kept = 0;
  /** How many answers they came in. */
  parts = 0;
  private hash = createHash("sha256");

  private constructor(private readonly file: FileHandle) {}

  static async create(path: string): Promise<ArchiveCopy> {
    return new ArchiveCopy(await open(path, "w", 0o600));
  }

  /** Makes ready for an answer that begins at `from`: at the end of what is kept, or at 0, for which all of it goes. */
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
