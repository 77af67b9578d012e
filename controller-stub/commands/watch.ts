import { type Command, createArgument } from "commander";
import type { HostStatus } from "../../protocol/host-status.ts";
import { type Context, globalOptions, LeftOut, withBus } from "../context.ts";
import { followStatuses } from "../host-reports.ts";
import { lastingFor } from "../lasting.ts";
import { parseName } from "../options.ts";
import { changeTracker } from "../terminal/host-changes.ts";

export function addWatch(program: Command, context: Context): void {
  program
    .command("watch")
    .summary("follow orders on all hosts")
    .description(
      "Prints a line for each change of a slot's state, progress or order on any host, " +
        "until interrupted or --timeout is over. With --json each line is a JSON object.",
    )
    .addArgument(createArgument("<service>", "application").argParser(parseName))
    .addHelpText("after", "\nExample:\n  slotd-controller watch web")
    .action((service: string, _options, command: Command) => watch(context, command, service));
}

async function watch(context: Context, command: Command, service: string): Promise<void> {
  await withBus(context, command, async (bus) => {
    const track = changeTracker();
    const print = (status: HostStatus) => {
      for (const change of track(status)) context.output.change(change);
    };
    const stop = await followStatuses(bus, service, print, new LeftOut(context.output).note);
    try {
      await lastingFor(bus, globalOptions(command).timeout);
    } finally {
      stop();
    }
  });
}
