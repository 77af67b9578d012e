import { closeSync, fchmodSync, fstatSync, openSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FollowedFile } from "./followed-file.ts";
import { ownPart, startAt } from "./own-part.ts";
import { type Tail, tail } from "./tail.ts";
import { Trimmer } from "./trimmer.ts";
import type { OutputFilter, OutputLine, OutputStart, WorkerOutput, Writer } from "./worker-output.ts";

const FOLLOW_MS = 200;
const MODE = 0o640;

interface OutputFile {
  slot: string;
  worker: number;
  path: string;
}

/** A file for each seat of each slot, over all versions: `SLOT-WORKER.log`. */
export class FileOutput implements WorkerOutput {
  private readonly trimmer: Trimmer;

  constructor(
    private readonly directory: string,
    maxBytes: number,
    onNoHoles: () => void = () => {},
  ) {
    this.trimmer = new Trimmer(directory, maxBytes, onNoHoles);
  }

  open(writer: Writer): { fd: number; start: OutputStart } {
    const path = this.place(writer);
    const fd = openSync(path, "a", MODE);
    try {
      fchmodSync(fd, MODE);
      const { ino, size } = fstatSync(fd, { bigint: true });
      return { fd, start: startAt(ino, size, this.trimmer.cut(path)) };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  place({ slot, worker }: Pick<Writer, "slot" | "worker">): string {
    return join(this.directory, `${slot}-${worker}.log`);
  }

  async lastLines(writer: Writer, start: OutputStart, count: number): Promise<string[]> {
    try {
      return (await this.tail(this.place(writer), count, start)).lines;
    } catch {
      return [];
    }
  }

  /**
   * Reads backwards, so that a large file costs no more than its end. Follows new workers too, and files that are
   * trimmed meanwhile.
   */
  async *read(filter: OutputFilter, follow: AbortSignal | null): AsyncGenerator<OutputLine> {
    const followed = new Map<string, FollowedFile>();
    const at = (path: string, place: number) => {
      const file = new FollowedFile(path, place, this.trimmer);
      followed.set(path, file);
      return file;
    };
    for (const { slot, worker, path } of await this.files(filter)) {
      const { lines, rest, end } = await this.tail(path, filter.lines);
      // An incomplete line is given once it is complete.
      if (follow) at(path, end - rest);
      for (const line of follow && rest > 0 ? lines.slice(0, -1) : lines) yield { slot, worker, line };
    }
    while (follow && !follow.aborted) {
      for (const { slot, worker, path } of await this.files(filter))
        for await (const line of (followed.get(path) ?? at(path, 0)).onwards(follow)) yield { slot, worker, line };
      if ([...followed.values()].some(({ behind }) => behind)) continue;
      await sleep(FOLLOW_MS, undefined, { signal: follow }).catch(() => {});
    }
  }

  trim(): Promise<void> {
    return this.trimmer.trim();
  }

  /** Reads again if the file was cut meanwhile. @param start of a process, for its own part only */
  private async tail(path: string, count: number, start?: OutputStart): Promise<Tail> {
    for (;;) {
      await this.trimmer.settled(path);
      const cut = this.trimmer.cut(path);
      const own = start === undefined ? undefined : ownPart(start, cut);
      if (own === null) return { lines: [], end: 0, rest: 0 };
      const found = await tail(path, count, this.trimmer.heads, own);
      if (this.trimmer.cut(path).number === cut.number) return found;
    }
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
