import { Command } from "commander";
import { wholeNumberOption } from "../option-values.ts";
import { eventLine } from "../render/event.ts";
import type { SlotctlSession } from "../session.ts";

export function eventsCommand(session: SlotctlSession): Command {
  return new Command("events")
    .description("shows what happened on this host, oldest first")
    .option("-n, --last <events>", "how many to show", wholeNumberOption, 20)
    .option("-f, --follow", "continue with new events", false)
    .addHelpText(
      "after",
      "\nExamples:\n  slotctl events -n 100\n  slotctl events -f\n  slotctl events --json | jq 'select(.code)'",
    )
    .action(async ({ last, follow }: { last: number; follow: boolean }) => {
      for await (const event of session.client().events({ last, follow }))
        if (session.json) session.printJson(event);
        else session.print(eventLine(event, session.colors));
    });
}
