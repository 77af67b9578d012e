import { Command } from "commander";
import { slotColumns, slotFields } from "../render/slots.ts";
import { table } from "../render/table.ts";
import type { SlotctlSession } from "../session.ts";
import { show, type Watch, watchOption } from "../watch.ts";

const examples = `
The columns are separated by spaces, never empty (a dash stands for nothing), and stay in this order.

Examples:
  slotctl slots
  slotctl slots --no-header | awk '$2 == "serving" { print $3 }'`;

export function slotsCommand(session: SlotctlSession): Command {
  return new Command("slots")
    .description("one line per slot, for scripts")
    .option("--no-header", "leave the heading out")
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
