import { type DestinationStream, pino } from "pino";
import { terminalText } from "../protocol/terminal-text.ts";

interface LogForm {
  /** For people, not as JSON. */
  isPretty: boolean;
  isTerminal: boolean;
}

/**
 * Where a daemon's log goes: stdout. What goes to people or to a terminal can't steer it: messages quote what apps and
 * others wrote.
 * @param stdout pino's own, which survives that its reader ends
 */
export async function logDestination(
  { isPretty, isTerminal }: LogForm,
  stdout: DestinationStream = pino.destination({ sync: true }),
): Promise<DestinationStream> {
  if (!isPretty && !isTerminal) return stdout;
  const form = isPretty
    ? (await import("pino-pretty")).prettyFactory({ colorize: isTerminal })
    : (line: string) => line;
  return { write: (line) => stdout.write(terminalText(form(line), { keepStyles: isTerminal })) };
}
