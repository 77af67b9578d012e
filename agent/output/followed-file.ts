import { type FileHandle, open } from "node:fs/promises";
import { StringDecoder } from "node:string_decoder";
import type { Cut, Trimmer } from "./trimmer.ts";

const CHUNK = 64 * 1024;
/** A longer line is given in pieces, much as the journal does it. */
const MAX_LINE = 64 * 1024;
const ROUND = 16 * CHUNK;

/** What bounds a file while it is read. */
export type Bounds = Pick<Trimmer, "cut" | "heads">;

/** A worker's output file that is read as it grows, also while its beginning is freed, and over its cuts. */
export class FollowedFile {
  private decoder = new StringDecoder("utf8");
  private text = "";
  private cuts: number;

  constructor(
    private readonly path: string,
    private at: number,
    private readonly bounds: Bounds,
  ) {
    this.cuts = bounds.cut(path).number;
  }

  /** Whether there may be more to read. */
  behind = false;

  /** The whole lines from here on, to where the file ends or a bound, so that the others' turn comes too. */
  async *onwards(signal: AbortSignal): AsyncGenerator<string> {
    this.behind = true;
    for (let left = ROUND; left > 0 && !signal.aborted; ) {
      const read = await this.next();
      this.behind = read !== null;
      if (!read) return;
      left -= read.length;
      yield* this.lines(read);
    }
  }

  /** What comes next, here or in the older half; null where there is no more for now. */
  private async next(): Promise<Buffer | null> {
    const cut = this.bounds.cut(this.path);
    if (cut.number % 2 === 1) return null; // It is being cut.
    if (cut.number !== this.cuts) {
      const older = await this.nextOfOlder(cut);
      if (this.isCutSince(cut)) return null;
      if (older) return older;
      // A line may continue at the file's new beginning, where nothing was lost in between.
      if (this.at !== cut.end || !cut.whole) this.jump(0);
      this.at = 0;
      this.cuts = cut.number;
    }
    const head = await this.bounds.heads.find(this.path);
    if (this.at < head) this.jump(head);
    const { read, size } = await chunk(this.path, this.at);
    // The bytes may be from before or after a cut, or partly freed while they were read.
    if (this.isCutSince(cut)) return null;
    if (this.bounds.heads.at(this.path) > this.at) return this.next();
    if (size < this.at) {
      // Someone else truncated it.
      this.bounds.heads.set(this.path, 0);
      this.jump(0);
      return size > 0 ? this.next() : null;
    }
    this.at += read?.length ?? 0;
    return read;
  }

  /** What was cut off before it was read. */
  private async nextOfOlder(cut: Readonly<Cut>): Promise<Buffer | null> {
    const begin = Math.max(this.at, cut.begin);
    if (cut.number !== this.cuts + 2 || begin >= cut.end) return null;
    const { read } = await chunk(`${this.path}.1`, begin - cut.begin);
    if (!read || this.isCutSince(cut)) return null;
    if (begin > this.at) this.jump(begin);
    this.at = begin + read.length;
    return read;
  }

  private isCutSince(cut: Readonly<Cut>): boolean {
    return this.bounds.cut(this.path).number !== cut.number;
  }

  private *lines(read: Buffer): Generator<string> {
    const lines = (this.text + this.decoder.write(read)).split("\n");
    this.text = lines.pop() as string;
    yield* lines;
    while (this.text.length > MAX_LINE) {
      yield this.text.slice(0, MAX_LINE);
      this.text = this.text.slice(MAX_LINE);
    }
  }

  /** Continues elsewhere: the line that was begun has no end. */
  private jump(to: number): void {
    this.at = to;
    this.decoder = new StringDecoder("utf8");
    this.text = "";
  }
}

/** Up to CHUNK bytes of a file; null at its end, and where it is gone or can't be read. */
async function chunk(path: string, at: number): Promise<{ read: Buffer | null; size: number }> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    const { buffer, bytesRead } = await file.read(Buffer.alloc(CHUNK), 0, CHUNK, at);
    if (bytesRead > 0) return { read: buffer.subarray(0, bytesRead), size: at + bytesRead };
    return { read: null, size: (await file.stat()).size };
  } catch {
    return { read: null, size: at };
  } finally {
    await file?.close();
  }
}
