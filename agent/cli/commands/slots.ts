import { Command } from "commander";
import { slotColumns, slotFields } from "../render/slots.ts";
import { table } from "../render/table.ts";
import type { SlotctlSession } from "../session.ts";
import { show, type Watch, watchOption } from "../watch.ts";

const examples = `
Columns are separated by spaces and never empty (a dash stands for no value). Their order does not change.

Examples:
  slotctl slots
  slotctl slots --no-header | awk '$2 == "serving" { print $3 }'`;

export function slotsCommand(session: SlotctlSession): Command {
  return new Command("slots")
    .description("shows one line per slot, for scripts")
    .option("--no-header", "leave out the heading")
    .addOption(watchOption())
    .addHelpText("after", examples)
    .action(async ({ watch, header }: { watch?: Watch; header: boolean }) => {
      const client = session.client();
      await show(session, watch, async () => {
        const value = Object.values((await client.status()).slots);
        const rows = value.map((slot) => slotFields(slot, Date.now()));
        const lines = table(session.colors, slotColumns, rows);
        return { value, lines: header ? lines : lines.slice(1) };
      });
    });
}
