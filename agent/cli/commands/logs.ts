import { Command } from "commander";
import { SlotctlUsageError } from "../errors.ts";
import { wholeNumberOption } from "../option-values.ts";
import { logText } from "../render/log-line.ts";
import type { SlotctlSession } from "../session.ts";

interface Options {
  worker?: number;
  lines: number;
  follow: boolean;
  raw: boolean;
}

const examples = `
On a terminal, lines keep their colours; other escape sequences and control characters are left out. In a file or a pipe, lines are as
the app wrote them.

Examples:
  slotctl logs                     the newest lines of every worker
  slotctl logs a --worker 0 -n 500
  slotctl logs b -f                continue with new lines until Ctrl-C`;

export function logsCommand(session: SlotctlSession): Command {
  return new Command("logs")
    .description("shows the workers' output")
    .argument("[slot]", "only this slot's workers")
    .option("--worker <number>", "only this worker of the slot", wholeNumberOption)
    .option("-n, --lines <lines>", "how many earlier lines to show per worker", wholeNumberOption, 50)
    .option("-f, --follow", "continue with new lines", false)
    .option("--raw", "on a terminal, too, print lines as the app wrote them; they may steer the terminal", false)
    .addHelpText("after", examples)
    .action(async (slot: string | undefined, { worker, lines, follow, raw }: Options) => {
      if (worker !== undefined && slot === undefined)
        throw new SlotctlUsageError("--worker needs a slot: slotctl logs a --worker 0");
      const forTerminal = !raw && session.context.terminal() !== null;
      for await (const line of session.client().logs({ slot, worker, lines, follow }))
        if (session.json) session.printJson(line);
        else session.printOutput(logText(line, session.colors, forTerminal));
    });
}
