import type { Command } from "commander";
import type { BusSession } from "../../bus/session.ts";
import { type Context, withBus } from "../context.ts";
import { serviceArgument } from "../deploy/deploy-options.ts";
import { ArgumentError } from "../errors.ts";
import { applyRepair } from "../repair/apply-repair.ts";
import { findRepairs, type Repair } from "../repair/find-repairs.ts";
import { valueNames } from "../values/malformed.ts";

export function addRepair(program: Command, context: Context): void {
  program
    .command("repair")
    .summary("replace what can't be read on the bus")
    .description(
      "Shows every value of a service on the bus that can't be read, and what would replace " +
        "it; asks; and does it. Routes, orders and the deploy record become what they were " +
        "before. What hosts and edges wrote is deleted: they write it anew. A value that is " +
        "replaced by somebody else meanwhile is left alone.",
    )
    .addArgument(serviceArgument())
    .option("--yes", "do it without asking")
    .addHelpText("after", "\nExample:\n  slotd-controller repair web")
    .action((service: string, options: { yes?: boolean }, command: Command) =>
      withBus(context, command, (bus) => repair(context, bus, service, options)),
    );
}

async function repair(context: Context, bus: BusSession, service: string, { yes = false }): Promise<void> {
  const { output } = context;
  const repairs = await findRepairs(bus, service);
  const shown = repairs.map(({ bucket, key, why, fix }) => ({ bucket, key, why, fix }));
  if (repairs.length === 0) {
    output.object({ service, outcome: "nothing", repairs: [] });
    output.line(`every value of ${service} on the bus can be read`);
    return;
  }
  for (const each of repairs) {
    output.line(repairText(each));
    output.line(`  → ${each.fix}`);
  }
  if (!yes) {
    if (context.ask === null) throw notAsked(shown);
    if (!(await context.ask(`do this for ${repairs.length} of ${service}'s values? [y/N] `)))
      return output.line("nothing was changed");
  }
  const left: string[] = [];
  for (const each of repairs) if (!(await applyRepair(bus, each))) left.push(each.key);
  output.object({ service, outcome: "repaired", repairs: shown, left });
  output.line(`${repairs.length - left.length} values were repaired`);
  if (left.length > 0) output.warn(`replaced by somebody else meanwhile, and left alone: ${left.join(", ")}`);
}

function notAsked(repairs: unknown): ArgumentError {
  const error = new ArgumentError("--yes", "is required where there is no terminal to ask on; nothing was changed");
  error.summary = { repairs };
  return error;
}

function repairText({ bucket, key, why }: Repair): string {
  return `the ${valueNames[bucket]} under ${key} in ${bucket} can't be read: ${why}`;
}
