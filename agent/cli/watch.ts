import { setTimeout as sleep } from "node:timers/promises";
import { InvalidArgumentError, Option } from "commander";
import { terminalLine } from "../../protocol/terminal-text.ts";
import type { SlotctlSession } from "./session.ts";

const ESC = "\u001b";
const CLEAR = `${ESC}[2J`;
const HOME = `${ESC}[H`;
const CLEAR_LINE = `${ESC}[K`;
const CLEAR_BELOW = `${ESC}[J`;
const HIDE_CURSOR = `${ESC}[?25l`;
const SHOW_CURSOR = `${ESC}[?25h`;
const CUT_LONG_LINES = `${ESC}[?7l`;
const WRAP_LONG_LINES = `${ESC}[?7h`;

const DEFAULT_SECONDS = 2;

/** The value of `--watch [SECONDS]`: true without the seconds. */
export type Watch = number | true | undefined;

/** `--watch [SECONDS]`, for verbs that show the current state. */
export function watchOption(): Option {
  const text = `repeat at this interval until Ctrl-C (default: ${DEFAULT_SECONDS} seconds)`;
  return new Option("--watch [seconds]", text).argParser((value: string) => {
    const seconds = Number(value);
    if (seconds >= 0.1 && seconds <= 86_400) return seconds;
    throw new InvalidArgumentError("It takes seconds, from 0.1 to 86400.");
  });
}

/** A snapshot of the state: as lines for people, and as a value for `--json`. */
export interface Snapshot {
  lines: string[];
  value: unknown;
}

/**
 * Shows a snapshot once or repeatedly. After the first one, errors such as an unreachable agent do not end the watch.
 */
export async function show(session: SlotctlSession, watch: Watch, take: () => Promise<Snapshot>): Promise<void> {
  const first = await take();
  if (watch === undefined) return print(session, first);
  const everyMs = (watch === true ? DEFAULT_SECONDS : watch) * 1000;
  const { signal } = session.context;
  const screen = session.json ? null : session.context.terminal();
  if (screen) session.context.write(HIDE_CURSOR + CUT_LONG_LINES + CLEAR);
  try {
    for (let snapshot: Snapshot | null = first; !signal.aborted; snapshot = await takeOrReport(session, take)) {
      if (snapshot) (screen ? redraw : print)(session, snapshot);
      if (!screen && !session.json) session.print("");
      await sleep(everyMs, undefined, { signal }).catch(() => {});
    }
  } finally {
    if (screen) session.context.write(WRAP_LONG_LINES + SHOW_CURSOR);
  }
}

function print(session: SlotctlSession, { lines, value }: Snapshot): void {
  if (session.json) session.printJson(value);
  else session.print(...lines);
}

function redraw({ context, styles }: SlotctlSession, { lines }: Snapshot): void {
  const rows = context.terminal()?.rows ?? lines.length;
  const seen = lines.slice(0, Math.max(1, rows - 1));
  context.write(HOME + seen.map((line) => `${terminalLine(line, styles)}${CLEAR_LINE}\n`).join("") + CLEAR_BELOW);
}

async function takeOrReport(session: SlotctlSession, take: () => Promise<Snapshot>): Promise<Snapshot | null> {
  try {
    return await take();
  } catch (error) {
    if (!session.context.signal.aborted) session.printError(error);
    return null;
  }
}
