import { type Command, createArgument } from "commander";
import type { HostStatus } from "../../protocol/host-status.ts";
import { type Context, globals, warnMalformed, withBus } from "../context.ts";
import { followStatuses, isStale, readStatuses } from "../hosts.ts";
import { lastingFor } from "../lasting.ts";
import { aName } from "../options.ts";
import { statusTable } from "../render.ts";

const REDRAW_MS = 1000;

export function addStatus(program: Command, context: Context): void {
  program
    .command("status")
    .summary("show what each slot of each host holds")
    .description("Shows what each slot of each host holds. A status that is older than 15 s is marked as stale.")
    .addArgument(createArgument("<service>", "application").argParser(aName))
    .option("--watch", "show it anew every second, until interrupted or --timeout is over")
    .addHelpText(
      "after",
      "\nExamples:\n  slotd-controller status web\n  slotd-controller status web --json | jq .stale",
    )
    .action((service: string, options: { watch?: boolean }, command: Command) =>
      options.watch ? watchStatus(context, command, service) : status(context, command, service),
    );
}

async function status(context: Context, command: Command, service: string): Promise<void> {
  const statuses = await withBus(context, command, (bus) => readStatuses(bus, service, warnMalformed(context)));
  show(context, service, statuses, (text) => context.output.line(text));
}

async function watchStatus(context: Context, command: Command, service: string): Promise<void> {
  await withBus(context, command, async (bus) => {
    const byHost = new Map<string, HostStatus>();
    const hear = (status: HostStatus) => byHost.set(status.host, status);
    const stop = await followStatuses(bus, service, hear, warnMalformed(context));
    const draw = () => {
      const statuses = [...byHost.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
      show(context, service, statuses, (text) => context.output.redraw(text));
    };
    draw();
    const timer = setInterval(draw, REDRAW_MS);
    try {
      await lastingFor(bus, globals(command).timeout);
    } finally {
      clearInterval(timer);
      stop();
    }
  });
}

function show({ output }: Context, service: string, statuses: HostStatus[], draw: (text: string) => void): void {
  const now = Date.now();
  const stale = statuses.filter((each) => isStale(each, now)).map((each) => each.host);
  if (output.json) output.object({ service, at: new Date(now).toISOString(), hosts: statuses, stale });
  else if (statuses.length === 0) draw(`no host of ${service} has reported in the last day`);
  else draw(statusTable(statuses, now, output.colours));
}
