import { closeSync, fchmodSync, openSync } from "node:fs";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { StringDecoder } from "node:string_decoder";
import { setTimeout as sleep } from "node:timers/promises";
import type { Output, OutputFilter, OutputLine, Writer } from "./output.ts";
import { Trimmer } from "./trimmer.ts";

const FOLLOW_MS = 200;
const CHUNK = 64 * 1024;
/** A single line, or a file without line ends, is not read further back than this. */
const MAX_BACKWARDS = 16 * 1024 ** 2;
const MODE = 0o640;

interface OutputFile {
  slot: string;
  worker: number;
  path: string;
}

/** Where a reader stands in a file, in bytes, and what it has of the line there. */
interface Place {
  at: number;
  decoder: StringDecoder;
  text: string;
}

/** A file for each seat of each slot, over all versions: `SLOT-WORKER.log`, and its older half `.log.1`. */
export class FileOutput implements Output {
  private readonly trimmer: Trimmer;

  constructor(
    private readonly directory: string,
    maxBytes: number,
  ) {
    this.trimmer = new Trimmer(directory, maxBytes);
  }

  open(writer: Writer): number {
    const fd = openSync(this.place(writer), "a", MODE);
    try {
      fchmodSync(fd, MODE);
      return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  place({ slot, worker }: Pick<Writer, "slot" | "worker">): string {
    return join(this.directory, `${slot}-${worker}.log`);
  }

  async lastLines(writer: Writer, count: number): Promise<string[]> {
    try {
      return (await tail(this.place(writer), count)).lines;
    } catch {
      return [];
    }
  }

  /** Reads backwards, so that a large file costs no more than its end; goes on also with workers that come later, and in files that are cut meanwhile. */
  async *read(filter: OutputFilter, follow: AbortSignal | null): AsyncGenerator<OutputLine> {
    const places = new Map<string, Place>();
    for (const { slot, worker, path } of await this.files(filter)) {
      const { lines, end } = await tail(path, filter.lines);
      places.set(path, place(end));
      for (const line of lines) yield { slot, worker, line };
    }
    while (follow && !follow.aborted) {
      for (const { slot, worker, path } of await this.files(filter)) {
        const from = places.get(path) ?? place(0);
        places.set(path, from);
        for await (const line of onwards(path, from, follow)) yield { slot, worker, line };
      }
      await sleep(FOLLOW_MS, undefined, { signal: follow }).catch(() => {});
    }
  }

  trim(): Promise<void> {
    return this.trimmer.trim();
  }

  private async files(filter: OutputFilter): Promise<OutputFile[]> {
    const files: OutputFile[] = [];
    for (const name of (await readdir(this.directory)).sort()) {
      const match = /^(.+)-(\d+)\.log$/.exec(name);
      if (!match) continue;
      const [slot, worker] = [match[1] as string, Number(match[2])];
      if (filter.slot !== null && filter.slot !== slot) continue;
      if (filter.worker !== null && filter.worker !== worker) continue;
      files.push({ slot, worker, path: join(this.directory, name) });
    }
    return files;
  }
}

function place(at: number): Place {
  return { at, decoder: new StringDecoder("utf8"), text: "" };
}

/** The last lines of a file, and where it ended when they were read. */
async function tail(path: string, count: number): Promise<{ lines: string[]; end: number }> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const chunks: Buffer[] = [];
    let ends = 0;
    for (let at = size; at > 0 && ends <= count && size - at < MAX_BACKWARDS; ) {
      const length = Math.min(CHUNK, at);
      at -= length;
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
      chunks.unshift(buffer.subarray(0, bytesRead));
      ends += lineEnds(buffer);
    }
    const lines = Buffer.concat(chunks).toString("utf8").split("\n");
    if (lines.at(-1) === "") lines.pop();
    return { lines: count === 0 ? [] : lines.slice(-count), end: size };
  } finally {
    await file.close();
  }
}

function lineEnds(buffer: Buffer): number {
  let found = 0;
  for (let at = buffer.indexOf(10); at !== -1; at = buffer.indexOf(10, at + 1)) found++;
  return found;
}

/** The whole lines from a place to the file's end; the place moves on. */
async function* onwards(path: string, from: Place, signal: AbortSignal): AsyncGenerator<string> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    const { size } = await file.stat();
    if (size < from.at) from.at = 0; // It was cut.
    while (from.at < size && !signal.aborted) {
      const length = Math.min(CHUNK, size - from.at);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, undefined, from.at);
      if (bytesRead === 0) break;
      from.at += bytesRead;
      const lines = (from.text + from.decoder.write(buffer.subarray(0, bytesRead))).split("\n");
      from.text = lines.pop() as string;
      yield* lines;
    }
  } finally {
    await file?.close();
  }
}
