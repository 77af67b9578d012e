import { type Command, createArgument } from "commander";
import type { UninstallOrder } from "../../protocol/order.ts";
import type { Context } from "../context.ts";
import { addOrderOptions, type OrderOptions, parseName, parseVersion, wholeNumberParser } from "../options.ts";
import { issueOrder, type OrderBody } from "../orders/issue.ts";

interface UninstallOptions extends OrderOptions {
  force?: boolean;
  reason?: string;
  drainTimeout?: number;
}

const EXAMPLES = `
Examples:
  slotd-controller uninstall web 1.4.1 --slot b --all-hosts --wait
  slotd-controller uninstall web 1.4.1 --slot b --host h1 --drain-timeout 600000
  slotd-controller uninstall web 1.4.1 --slot b --host h1 --force --reason "leaks memory"`;

export function addUninstall(program: Command, context: Context): void {
  const command = program
    .command("uninstall")
    .summary("remove a version from a slot")
    .description("Removes a version from a slot of each host, once nobody uses it any more.")
    .addArgument(createArgument("<service>", "application").argParser(parseName))
    .addArgument(createArgument("<version>", "version that the slot holds").argParser(parseVersion));
  addOrderOptions(command)
    .option("--force", "do not wait for a drain; needs --reason")
    .option("--reason <text>", "the reason, for the record")
    .option("--drain-timeout <ms>", "how long to wait for requests in flight", wholeNumberParser(0))
    .addHelpText("after", EXAMPLES)
    .action((service: string, version: string, options: UninstallOptions, self: Command) => {
      const { force, reason, drainTimeout } = options;
      const order: OrderBody<UninstallOrder> = {
        action: "uninstall",
        version,
        ...(force && { force }),
        ...(reason !== undefined && { reason }),
        ...(drainTimeout !== undefined && { drainTimeoutMs: drainTimeout }),
      };
      return issueOrder(context, self, { service, options, draft: order, complete: async () => order });
    });
}
