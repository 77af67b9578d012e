import type { Command } from "commander";
import { ensureAll } from "../../bus/buckets.ts";
import { type Context, withBus } from "../context.ts";

export function addSetup(program: Command, context: Context): void {
  program
    .command("setup")
    .summary("create what slotd keeps on the bus")
    .description(
      "Creates the buckets, the object store and the stream that slotd uses. What exists " +
        "is left as it is. Optional with a single server: each program creates what it " +
        "needs, with one replica.",
    )
    .addHelpText("after", "\nExample:\n  slotd-controller setup --replicas 3")
    .action(async (_options, command: Command) => {
      const names = await withBus(context, command, ensureAll);
      context.output.object({ ready: names });
      for (const name of names) context.output.line(`${name} is ready`);
    });
}
