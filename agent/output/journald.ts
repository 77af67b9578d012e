import { execFile, spawn } from "node:child_process";
import { existsSync, fstatSync, openSync } from "node:fs";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { unixAddress } from "../os/address.ts";
import * as libc from "../os/libc.ts";
import { unitName } from "../os/unit.ts";
import { cursorOfNow, type Entry, isAfter, isCursor, JSON_LINES, parseEntry } from "./journald-entry.ts";
import type { OutputFilter, OutputLine, OutputStart, WorkerOutput, Writer } from "./worker-output.ts";

/** systemd-journald's stream socket: what a service's standard output is connected to. */
const SOCKET = "/run/systemd/journal/stdout";
/** syslog(3): informational. An app that begins its lines with `<N>` says something else: sd-daemon(3). */
const PRIORITY = 6;
const SO_SNDBUF = 7;
/**
 * As much as the kernel permits, so that a worker does not soon wait for a journald that is away for a moment. systemd
 * asks for as much.
 */
const SEND_BUFFER = Buffer.from(Int32Array.of(8 * 1024 ** 2).buffer);
const TIMEOUT_MS = 10_000;
/** A journald that hangs, or has much to do, must not keep an error from being told. */
const SYNC_MS = 2_000;
const MAX_ANSWER = 64 * 1024 ** 2;

const run = promisify(execFile);

/**
 * Whether systemd has connected the agent's own output to a journal. The variable alone is inherited by others too:
 * systemd.exec(5).
 */
export function ownOutputGoesToJournald(
  { JOURNAL_STREAM }: NodeJS.ProcessEnv,
  descriptors: readonly number[] = [2, 1],
): boolean {
  if (JOURNAL_STREAM === undefined || !existsSync(SOCKET)) return false;
  return descriptors.some((fd) => fileId(fd) === JOURNAL_STREAM);
}

/** Device and inode, as the variable has them. */
function fileId(fd: number): string | null {
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return null; // Closed.
  }
}

/**
 * The journal of systemd: each worker has a stream of its own to it. The identifier says whose lines they are:
 * `SERVICE/SLOT/VERSION/WORKER`, for example `journalctl -t web/a/v42/0`. journald bounds what it keeps, and how much
 * it takes of a service that writes too much. It splits lines of more than 48 KiB, and leaves out empty ones.
 */
export class JournaldOutput implements WorkerOutput {
  private readonly unit = unitName();

  constructor(
    private readonly service: string,
    /** What a worker writes will be lost. */
    private readonly onLost: (writer: Writer, error: Error) => void,
  ) {}

  /**
   * Where journald does not take a connection, what the worker writes is lost, as a service's is: that it serves counts
   * for more.
   */
  open(writer: Writer): { fd: number; start: OutputStart } {
    const start = cursorOfNow();
    // A journald that hangs must not hang the agent.
    const fd = libc.socket(libc.AF_UNIX, libc.SOCK_STREAM | libc.SOCK_NONBLOCK);
    try {
      libc.setsockopt(fd, libc.SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
      libc.connect(fd, unixAddress(SOCKET));
      libc.send(fd, Buffer.from(`${[this.identifier(writer), this.unit ?? "", PRIORITY, 1, 0, 0, 0].join("\n")}\n`));
      libc.setBlocking(fd);
      return { fd, start };
    } catch (error) {
      libc.close(fd);
      this.onLost(writer, error as Error);
      return { fd: openSync("/dev/null", "w"), start };
    }
  }

  place(writer: Writer): string {
    return `journal:${this.identifier(writer)}`;
  }

  async lastLines(writer: Writer, start: OutputStart, count: number): Promise<string[]> {
    if (!isCursor(start)) return [];
    // Else the last words of a process that has just ended may not be there yet.
    await run("journalctl", ["--sync"], { timeout: SYNC_MS }).catch(() => {});
    const lines: string[] = [];
    try {
      const bound = AbortSignal.timeout(TIMEOUT_MS);
      for await (const { cursor, line } of this.last([this.identifier(writer)], count, bound))
        if (isAfter(cursor, start)) lines.push(line.line);
    } catch {
      // What was read before is something.
    }
    return lines.slice(-count);
  }

  async *read(filter: OutputFilter, follow: AbortSignal | null): AsyncGenerator<OutputLine> {
    // Lines that are written from now on are followed; earlier ones are printed first.
    const seam = follow && (await this.cursor());
    for (const identifiers of (await this.identifiers(filter)).values())
      for await (const { cursor, line } of this.last(identifiers, filter.lines, follow))
        if (!follow || (seam !== null && !isAfter(cursor, seam))) yield line;
    if (!follow) return;
    const from = seam === null ? [] : [`--after-cursor=${seam}`];
    const options = [...FOLLOW, ...from, ...this.ours()];
    for await (const { line } of this.entries(options, follow)) if (isAsked(line, filter)) yield line;
  }

  async trim(): Promise<void> {}

  private identifier({ slot, version, worker }: Writer): string {
    return [this.service, slot, version, worker].join("/");
  }

  private parse(identifier: string): Writer | null {
    const [service, slot, version, worker, more] = identifier.split("/");
    if (service !== this.service || !slot || !version || !/^\d+$/.test(worker ?? "") || more !== undefined) return null;
    return { slot, version, worker: Number(worker) };
  }

  /**
   * What other programs of the host write can't pass for a worker's: only the name of the writer's unit is journald's
   * own word.
   */
  private ours(matches: readonly string[] = []): string[] {
    const each = (field: string) => ["_TRANSPORT=stdout", `${field}=${this.unit}`, ...matches];
    if (this.unit === null) return ["_TRANSPORT=stdout", ...matches];
    return [...each("_SYSTEMD_UNIT"), "+", ...each("_SYSTEMD_USER_UNIT")];
  }

  /** Where the journal ends; null where it is empty. */
  private async cursor(): Promise<string | null> {
    const options = ["--lines=1", "--output=cat", "--output-fields=_BOOT_ID", "--show-cursor", "--quiet", "--no-pager"];
    const { stdout } = await run("journalctl", options, OPTIONS);
    return /^-- cursor: (.+)$/m.exec(stdout)?.[1] ?? null;
  }

  /** All identifiers that the journal knows of the workers asked for, by slot and worker. */
  private async identifiers(filter: OutputFilter): Promise<Map<string, string[]>> {
    const { stdout } = await run("journalctl", ["--field=SYSLOG_IDENTIFIER"], OPTIONS);
    const found = new Map<string, string[]>();
    for (const identifier of stdout.split("\n").sort()) {
      const writer = this.parse(identifier);
      if (!writer || !isAsked(writer, filter)) continue;
      const key = `${writer.slot}/${writer.worker}`;
      found.set(key, [...(found.get(key) ?? []), identifier]);
    }
    return found;
  }

  private async *last(
    identifiers: readonly string[],
    count: number,
    signal: AbortSignal | null,
  ): AsyncGenerator<Entry> {
    if (count === 0) return;
    const matches = this.ours(identifiers.map((identifier) => `SYSLOG_IDENTIFIER=${identifier}`));
    yield* this.entries([`--lines=${count}`, ...matches], signal);
  }

  /** What journalctl finds, as it comes: nothing of it is kept in memory. It ends with who reads, and by the signal. */
  private async *entries(options: readonly string[], signal: AbortSignal | null): AsyncGenerator<Entry> {
    const child = spawn("journalctl", [...JSON_LINES, ...options], {
      stdio: ["ignore", "pipe", "ignore"],
      ...(signal && { signal }),
    });
    child.once("error", () => {});
    try {
      for await (const json of createInterface({ input: child.stdout })) {
        const entry = parseEntry(json);
        const writer = entry && this.parse(entry.identifier);
        if (!writer) continue;
        const { slot, worker } = writer;
        yield { cursor: entry.cursor, line: { slot, worker, line: entry.message } };
      }
    } finally {
      child.kill();
    }
  }
}

/**
 * --merge: else journalctl looks for this boot's entries only, whose id the agent's sandbox does not show where systemd
 * runs in a container.
 */
const FOLLOW = ["--follow", "--no-tail", "--merge"];
const OPTIONS = { timeout: TIMEOUT_MS, maxBuffer: MAX_ANSWER };

function isAsked(writer: Pick<Writer, "slot" | "worker">, { slot, worker }: OutputFilter): boolean {
  return (slot === null || slot === writer.slot) && (worker === null || worker === writer.worker);
}
