import { Command } from "commander";
import { workersPage } from "../render/workers.ts";
import type { SlotctlSession } from "../session.ts";
import { slotOf } from "../slot-of.ts";
import { show, type Watch, watchOption } from "../watch.ts";

export function workersCommand(session: SlotctlSession): Command {
  return new Command("workers")
    .description("shows the worker processes and their resource use")
    .argument("[slot]", "only this slot's workers")
    .addOption(watchOption())
    .addHelpText(
      "after",
      "\nExamples:\n  slotctl workers\n  slotctl workers a --watch\n  slotctl workers --json | jq '.[].pid'",
    )
    .action(async (slot: string | undefined, { watch }: { watch?: Watch }) => {
      const client = session.client();
      if (slot !== undefined) slotOf(await client.status(), slot);
      await show(session, watch, async () => {
        const value = (await client.workers()).filter((worker) => slot === undefined || worker.slot === slot);
        return { value, lines: workersPage(value, session.colors) };
      });
    });
}
