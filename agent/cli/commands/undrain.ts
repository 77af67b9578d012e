import { Command } from "commander";
import { SlotStateError } from "../../../protocol/errors.ts";
import type { SlotStatus } from "../../../protocol/host-status.ts";
import { poll } from "../follow/poll.ts";
import { slotLine } from "../render/slot-line.ts";
import type { SlotctlSession } from "../session.ts";
import { slotOf } from "../slot-of.ts";

export function undrainCommand(session: SlotctlSession): Command {
  return new Command("undrain")
    .description("reverses a drain: the same processes serve again")
    .argument("<slot>")
    .addHelpText("after", "\nExample:\n  slotctl undrain a")
    .action(async (slot: string) => {
      const client = session.client();
      const begun = await client.steer(slot, "undrain", { by: session.context.user });
      let now: SlotStatus | undefined;
      const end = await poll(session.context.signal, `stopped waiting before slot ${slot} served again`, async () => {
        now = now ? slotOf(await client.status(), slot) : begun;
        if (now.state === "serving") return now;
        if (now.state === "draining") return undefined;
        throw new SlotStateError(slot, now.state, "undrain", "an order interrupted it; see slotctl events");
      });
      if (session.json) session.printJson(end);
      else session.print(slotLine(end, session.colors));
    });
}
