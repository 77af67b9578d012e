import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FileOutput } from "../../../../agent/output/files.ts";
import { until } from "../../../support/until.ts";

export const MIB = 1024 ** 2;
export const ALL = { slot: null, worker: null, lines: 10_000 };
export const writer = (worker = 0) => ({ slot: "a", version: "1", worker });
export const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `line ${from + i}`);
export const text = (lines: string[]) => lines.map((line) => `${line}\n`).join("");

/** What is written before, oldest first. */
export async function told(output: FileOutput, lines: number): Promise<string[]> {
  const found: string[] = [];
  for await (const { line } of output.read({ ...ALL, lines }, null)) found.push(line);
  return found;
}

/** A directory of output files, with writers and readers that end with the test. */
export class Fixture {
  readonly root = mkdtempSync(join(tmpdir(), "slotd-output-"));
  readonly directory: string;
  readonly undo: (() => unknown)[] = [];

  private constructor(mounted: boolean) {
    this.directory = mounted ? join(this.root, "disk") : this.root;
  }

  /** @param mount a file system of its own; else the machine's disk */
  static async open(mount?: (path: string) => Promise<() => Promise<void>>): Promise<Fixture> {
    const fixture = new Fixture(mount !== undefined);
    const unmount = await mount?.(fixture.directory);
    if (unmount) fixture.undo.push(() => until("nobody uses the file system", () => unmount().then(() => true)));
    return fixture;
  }

  async close(): Promise<void> {
    try {
      for (const step of this.undo.splice(0).reverse()) await step();
    } finally {
      rmSync(this.root, { recursive: true });
    }
  }

  path(name = "a-0.log"): string {
    return join(this.directory, name);
  }

  /** Bytes on the disk of a file and its older half. */
  allocated(file = this.path()): number {
    const each = [file, `${file}.1`].map((path) => statSync(path, { throwIfNoEntry: false })?.blocks ?? 0);
    return each.reduce((sum, blocks) => sum + blocks * 512, 0);
  }

  /** The sizes of a file and its older half. */
  size(file = this.path()): number {
    const each = [file, `${file}.1`].map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0);
    return each.reduce((sum, size) => sum + size, 0);
  }

  /** The lines read so far, from now on until the test ends. */
  follow(output: FileOutput, lines = 10_000, onLine: (line: string) => void = () => {}): string[] {
    const seen: string[] = [];
    const gone = new AbortController();
    const reading = (async () => {
      for await (const { line } of output.read({ ...ALL, lines }, gone.signal)) {
        seen.push(line);
        onLine(line);
      }
    })();
    this.undo.push(async () => {
      gone.abort();
      await reading;
    });
    return seen;
  }

  /** A process that appends to a worker's file. */
  start(output: FileOutput, script: string, stdin: "pipe" | "ignore" = "ignore"): ChildProcess {
    const { fd } = output.open(writer());
    const child = spawn(process.execPath, ["-e", script], { stdio: [stdin, fd, "inherit"] });
    closeSync(fd);
    return this.endsWithTest(child);
  }

  endsWithTest(child: ChildProcess): ChildProcess {
    this.undo.push(() => end(child));
    return child;
  }
}

export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}
