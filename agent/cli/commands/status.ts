import { Command } from "commander";
import { statusPage } from "../render/status.ts";
import type { SlotctlSession } from "../session.ts";
import { show, type Watch, watchOption } from "../watch.ts";

export function statusCommand(session: SlotctlSession): Command {
  return new Command("status")
    .description("shows the host's slots, and anything that needs attention")
    .addOption(watchOption())
    .addHelpText(
      "after",
      "\nExamples:\n  slotctl status\n  slotctl status --watch 5\n  slotctl status --json | jq .slots.a.version",
    )
    .action(async ({ watch }: { watch?: Watch }) => {
      const client = session.client();
      await show(session, watch, async () => {
        const value = await client.status();
        return { value, lines: statusPage(value, Date.now(), session.colors, session.columns) };
      });
    });
}
