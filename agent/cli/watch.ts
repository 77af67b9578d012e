import { setTimeout as sleep } from "node:timers/promises";
import { InvalidArgumentError, Option } from "commander";
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

/** `--watch [SECONDS]`, for verbs that show how things are now. */
export function watchOption(): Option {
  const text = `show it again every so often, until Ctrl-C (${DEFAULT_SECONDS} seconds unless told)`;
  return new Option("--watch [seconds]", text).argParser((value: string) => {
    const seconds = Number(value);
    if (seconds >= 0.1 && seconds <= 86_400) return seconds;
    throw new InvalidArgumentError("It takes seconds, from 0.1 to 86400.");
  });
}

/** A picture of how things are: as lines for people, and as a value for `--json`. */
export interface Picture {
  lines: string[];
  value: unknown;
}

/** Shows a picture once, or again and again. Once it was shown, an agent that is away for a while ends nothing. */
export async function show(session: SlotctlSession, watch: Watch, take: () => Promise<Picture>): Promise<void> {
  const first = await take();
  if (watch === undefined) return print(session, first);
  const everyMs = (watch === true ? DEFAULT_SECONDS : watch) * 1000;
  const { signal } = session.context;
  const screen = session.json ? null : session.context.terminal();
  if (screen) session.context.write(HIDE_CURSOR + CUT_LONG_LINES + CLEAR);
  try {
    for (let picture: Picture | null = first; !signal.aborted; picture = await takeOrTell(session, take)) {
      if (picture) (screen ? redraw : print)(session, picture);
      if (!screen && !session.json) session.print("");
      await sleep(everyMs, undefined, { signal }).catch(() => {});
    }
  } finally {
    if (screen) session.context.write(WRAP_LONG_LINES + SHOW_CURSOR);
  }
}

function print(session: SlotctlSession, { lines, value }: Picture): void {
  if (session.json) session.printJson(value);
  else session.print(lines.join("\n"));
}

function redraw({ context }: SlotctlSession, { lines }: Picture): void {
  const rows = context.terminal()?.rows ?? lines.length;
  const seen = lines.slice(0, Math.max(1, rows - 1));
  context.write(HOME + seen.map((line) => `${line}${CLEAR_LINE}\n`).join("") + CLEAR_BELOW);
}

async function takeOrTell(session: SlotctlSession, take: () => Promise<Picture>): Promise<Picture | null> {
  try {
    return await take();
  } catch (error) {
    if (!session.context.signal.aborted) session.printError(error);
    return null;
  }
}
