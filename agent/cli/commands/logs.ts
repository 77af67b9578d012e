import { Command } from "commander";
import { SlotctlUsageError } from "../errors.ts";
import { wholeNumberOption } from "../option-values.ts";
import { logText } from "../render/log-line.ts";
import type { SlotctlSession } from "../session.ts";

interface Options {
  worker?: number;
  lines: number;
  follow: boolean;
}

const examples = `
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
    .addHelpText("after", examples)
    .action(async (slot: string | undefined, { worker, lines, follow }: Options) => {
      if (worker !== undefined && slot === undefined)
        throw new SlotctlUsageError("--worker needs a slot: slotctl logs a --worker 0");
      const forTerminal = session.context.terminal() !== null;
      for await (const line of session.client().logs({ slot, worker, lines, follow }))
        if (session.json) session.printJson(line);
        else session.print(logText(line, session.colors, forTerminal));
    });
}
