import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { StringDecoder } from "node:string_decoder";
import { setTimeout as sleep } from "node:timers/promises";

const FOLLOW_MS = 200;
const CHUNK = 64 * 1024;

export interface OutputFilter {
  slot: string | null;
  worker: number | null;
  /** Per worker. */
  lines: number;
}

/** A line that a worker wrote. */
export interface OutputLine {
  slot: string;
  worker: number;
  line: string;
}

interface OutputFile {
  slot: string;
  worker: number;
  path: string;
}

/** Where a reader stands in each file, in bytes. */
export type Positions = Map<string, number>;

async function outputFiles(directory: string, filter: OutputFilter): Promise<OutputFile[]> {
  const files: OutputFile[] = [];
  for (const name of (await readdir(directory)).sort()) {
    const match = /^(.+)-(\d+)\.log$/.exec(name);
    if (!match) continue;
    const [slot, worker] = [match[1] as string, Number(match[2])];
    if (filter.slot !== null && filter.slot !== slot) continue;
    if (filter.worker !== null && filter.worker !== worker) continue;
    files.push({ slot, worker, path: join(directory, name) });
  }
  return files;
}

/** The last lines of each worker, and where reading may go on. Reads backwards, so that a large file costs no more than its end. */
export async function lastOutput(
  directory: string,
  filter: OutputFilter,
): Promise<{ lines: OutputLine[]; positions: Positions }> {
  const lines: OutputLine[] = [];
  const positions: Positions = new Map();
  for (const { slot, worker, path } of await outputFiles(directory, filter)) {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      let tail = Buffer.alloc(0);
      for (let at = size; at > 0 && count(tail) <= filter.lines; ) {
        const length = Math.min(CHUNK, at);
        at -= length;
        const { buffer } = await file.read(Buffer.alloc(length), 0, length, at);
        tail = Buffer.concat([buffer, tail]);
      }
      positions.set(path, size);
      const text = tail.toString("utf8").split("\n");
      if (text.at(-1) === "") text.pop();
      const kept = filter.lines === 0 ? [] : text.slice(-filter.lines);
      lines.push(...kept.map((line) => ({ slot, worker, line })));
    } finally {
      await file.close();
    }
  }
  return { lines, positions };
}

function count(buffer: Buffer): number {
  let found = 0;
  for (let at = buffer.indexOf(10); at !== -1; at = buffer.indexOf(10, at + 1)) found++;
  return found;
}

/** Lines as they are written, also by workers that come later and in files that are cut meanwhile. */
export async function* followOutput(
  directory: string,
  filter: OutputFilter,
  positions: Positions,
  signal: AbortSignal,
): AsyncGenerator<OutputLine> {
  const partial = new Map<string, { decoder: StringDecoder; text: string }>();
  while (!signal.aborted) {
    for (const { slot, worker, path } of await outputFiles(directory, filter)) {
      const state = partial.get(path) ?? { decoder: new StringDecoder("utf8"), text: "" };
      partial.set(path, state);
      const file = await open(path, "r");
      try {
        const { size } = await file.stat();
        let at = positions.get(path) ?? 0;
        if (size < at) at = 0; // It was cut.
        while (at < size && !signal.aborted) {
          const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(CHUNK, size - at)), 0, undefined, at);
          if (bytesRead === 0) break;
          at += bytesRead;
          const lines = (state.text + state.decoder.write(buffer.subarray(0, bytesRead))).split("\n");
          state.text = lines.pop() as string;
          for (const line of lines) yield { slot, worker, line };
        }
        positions.set(path, at);
      } finally {
        await file.close();
      }
    }
    await sleep(FOLLOW_MS, undefined, { signal }).catch(() => {});
  }
}
