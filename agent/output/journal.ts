import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { unixAddress } from "../os/address.ts";
import * as libc from "../os/libc.ts";
import { unitName } from "../os/unit.ts";
import type { Output, OutputFilter, OutputLine, Writer } from "./output.ts";

/** systemd-journald's stream socket: what a service's standard output is connected to. */
const SOCKET = "/run/systemd/journal/stdout";
/** syslog(3): informational. An app that begins its lines with `<N>` says something else: sd-daemon(3). */
const PRIORITY = 6;
const TIMEOUT_MS = 10_000;
const MAX_ANSWER = 64 * 1024 ** 2;

const run = promisify(execFile);

/** Whether systemd has connected the agent's own output to a journal. */
export function journalIsThere(environment: NodeJS.ProcessEnv): boolean {
  return environment.JOURNAL_STREAM !== undefined && existsSync(SOCKET);
}

/**
 * The journal of systemd: each worker has a stream of its own to it. The identifier says whose lines they are:
 * `SERVICE/SLOT/VERSION/WORKER`, for example `journalctl -t web/a/v42/0`. journald bounds what it keeps, and how much it takes of a
 * service that writes too much.
 */
export class JournalOutput implements Output {
  private readonly unit = unitName();

  constructor(private readonly service: string) {}

  /** @throws NativeError where journald does not take a connection. */
  open(writer: Writer): number {
    // A journald that hangs must not hang the agent.
    const fd = libc.socket(libc.AF_UNIX, libc.SOCK_STREAM | libc.SOCK_NONBLOCK);
    try {
      libc.connect(fd, unixAddress(SOCKET));
      libc.send(fd, Buffer.from(`${[this.identifier(writer), this.unit ?? "", PRIORITY, 1, 0, 0, 0].join("\n")}\n`));
      libc.setBlocking(fd);
      return fd;
    } catch (error) {
      libc.close(fd);
      throw error;
    }
  }

  place(writer: Writer): string {
    return `journal:${this.identifier(writer)}`;
  }

  async lastLines(writer: Writer, count: number): Promise<string[]> {
    try {
      // Else the last words of a process that has just ended may not be there yet.
      await run("journalctl", ["--sync"], { timeout: TIMEOUT_MS });
      return (await this.last([this.identifier(writer)], count)).map(({ line }) => line.line);
    } catch {
      return [];
    }
  }

  async *read(filter: OutputFilter, follow: AbortSignal | null): AsyncGenerator<OutputLine> {
    // Begun first, so that nothing is missed between the two.
    const following = follow && this.follow(filter, follow);
    const first = following?.next();
    first?.catch(() => {});
    const told = new Set<string>();
    for (const identifiers of (await this.identifiers(filter)).values()) {
      for (const entry of await this.last(identifiers, filter.lines)) {
        told.add(entry.cursor);
        yield entry.line;
      }
    }
    if (!following || !first) return;
    for (let next = await first; !next.done; next = await following.next())
      if (!told.has(next.value.cursor)) yield next.value.line;
  }

  async trim(): Promise<void> {}

  private identifier({ slot, version, worker }: Writer): string {
    return [this.service, slot, version, worker].join("/");
  }

  private parse(identifier: string): Writer | null {
    const [service, slot, version, worker] = identifier.split("/");
    if (service !== this.service || !slot || !version || !/^\d+$/.test(worker ?? "")) return null;
    return { slot, version, worker: Number(worker) };
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

  private async last(identifiers: readonly string[], count: number): Promise<Entry[]> {
    if (count === 0) return [];
    const matches = identifiers.map((identifier) => `SYSLOG_IDENTIFIER=${identifier}`);
    const { stdout } = await run("journalctl", [...JSON_LINES, `--lines=${count}`, ...matches], OPTIONS);
    return stdout
      .split("\n")
      .filter(Boolean)
      .flatMap((entry) => this.entries(entry))
      .slice(-count);
  }

  private async *follow(filter: OutputFilter, signal: AbortSignal): AsyncGenerator<Entry> {
    const matches = ["_TRANSPORT=stdout", ...(this.unit ? [`_SYSTEMD_UNIT=${this.unit}`] : [])];
    const child = spawn("journalctl", [...JSON_LINES, "--follow", "--lines=0", ...matches], {
      stdio: ["ignore", "pipe", "ignore"],
      signal,
    });
    child.once("error", () => {});
    try {
      for await (const entry of createInterface({ input: child.stdout }))
        for (const each of this.entries(entry)) if (isAsked(each.line, filter)) yield each;
    } finally {
      child.kill();
    }
  }

  /** The lines of an entry of the journal, as journalctl gives it. */
  private entries(json: string): Entry[] {
    const entry = JSON.parse(json) as { SYSLOG_IDENTIFIER?: string; MESSAGE?: Message; __CURSOR: string };
    const writer = this.parse(entry.SYSLOG_IDENTIFIER ?? "");
    const { MESSAGE: message, __CURSOR: cursor } = entry;
    if (!writer || message === undefined || message === null) return [];
    const { slot, worker } = writer;
    const text = typeof message === "string" ? message : Buffer.from(message).toString("utf8");
    return text.split("\n").map((line) => ({ cursor, line: { slot, worker, line } }));
  }
}

/** A line, and where it stands in the journal. */
interface Entry {
  cursor: string;
  line: OutputLine;
}

/** journalctl gives a message that is no printable UTF-8 as its bytes, and one that is too long as null. */
type Message = string | number[] | null;

const OPTIONS = { timeout: TIMEOUT_MS, maxBuffer: MAX_ANSWER };
const JSON_LINES = ["--output=json", "--output-fields=MESSAGE,SYSLOG_IDENTIFIER", "--all", "--quiet", "--no-pager"];

function isAsked(writer: Pick<Writer, "slot" | "worker">, { slot, worker }: OutputFilter): boolean {
  return (slot === null || slot === writer.slot) && (worker === null || worker === writer.worker);
}
