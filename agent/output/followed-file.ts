import { type FileHandle, open } from "node:fs/promises";
import { StringDecoder } from "node:string_decoder";
import type { Cut } from "./trimmer.ts";

const CHUNK = 64 * 1024;
/** A longer line is told in pieces, about as the journal does it. */
const MAX_LINE = 64 * 1024;
const ROUND = 16 * CHUNK;

/** A worker's output file that is read on and on, also over its cuts. */
export class FollowedFile {
  private decoder = new StringDecoder("utf8");
  private text = "";
  private cuts: number;

  constructor(
    private readonly path: string,
    private at: number,
    /** The last time that the file was cut. */
    private readonly cut: () => Readonly<Cut>,
  ) {
    this.cuts = cut().number;
  }

  /** Whether there may be more than was told. */
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
    const cut = this.cut();
    if (cut.number % 2 === 1) return null; // It is being cut.
    if (cut.number !== this.cuts) {
      const older = await this.nextOfOlder(cut);
      if (this.cut().number !== cut.number) return null;
      if (older) return older;
      // A line may go on in the file's new beginning, where nothing was lost in between.
      if (this.at !== cut.end || !cut.whole) this.forget();
      this.at = 0;
      this.cuts = cut.number;
    }
    const { read, size } = await chunk(this.path, this.at);
    // What was read may be from before or after a cut.
    if (this.cut().number !== cut.number) return null;
    if (size < this.at) {
      this.forget(); // Someone else cut it.
      this.at = 0;
      return size > 0 ? this.next() : null;
    }
    this.at += read?.length ?? 0;
    return read;
  }

  /** What was cut off before it was told. */
  private async nextOfOlder(cut: Readonly<Cut>): Promise<Buffer | null> {
    const begin = Math.max(this.at, cut.begin);
    if (cut.number !== this.cuts + 2 || begin >= cut.end) return null;
    const { read } = await chunk(`${this.path}.1`, begin - cut.begin);
    if (!read || this.cut().number !== cut.number) return null;
    if (begin > this.at) this.forget();
    this.at = begin + read.length;
    return read;
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

  private forget(): void {
    this.decoder = new StringDecoder("utf8");
    this.text = "";
  }
}

/** Up to CHUNK bytes of a file; null at its end, and where it is gone or not to be read. */
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
