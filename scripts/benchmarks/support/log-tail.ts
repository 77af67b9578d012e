import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export interface LogLine {
  msg: string;
  /** Milliseconds on the wall clock, of which the log has no fractions. */
  atMs: number;
  slot?: string;
  state?: string;
  was?: string;
}

/** Reads what an agent adds to its log, without asking the agent anything. */
export class LogTail {
  private readonly fd: number;
  private position: number;
  private rest = "";
  private readonly ahead: LogLine[] = [];

  constructor(path: string) {
    this.fd = openSync(path, "r");
    this.position = fstatSync(this.fd).size;
  }

  /** The next line that fits; those before it are passed over. */
  async next(fits: (line: LogLine) => boolean, withinMs = 10_000): Promise<LogLine> {
    const end = performance.now() + withinMs;
    for (;;) {
      for (let line = this.ahead.shift(); line; line = this.ahead.shift()) if (fits(line)) return line;
      if (performance.now() > end) throw new Error(`the agent did not log what was waited for in ${withinMs} ms`);
      if (!this.read()) await sleep(2);
    }
  }

  close(): void {
    closeSync(this.fd);
  }

  private read(): boolean {
    const buffer = Buffer.alloc(64 * 1024);
    const length = readSync(this.fd, buffer, 0, buffer.length, this.position);
    this.position += length;
    const lines = (this.rest + buffer.toString("utf8", 0, length)).split("\n");
    this.rest = lines.pop() ?? "";
    for (const text of lines) {
      const { time, ...line } = JSON.parse(text) as LogLine & { time: string };
      this.ahead.push({ ...line, atMs: Date.parse(time) });
    }
    return length > 0;
  }
}
