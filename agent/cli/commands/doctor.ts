import { Command } from "commander";
import { exitCodes } from "../../../protocol/exit-codes.ts";
import type { Check } from "../doctor/check.ts";
import { chooseConfig } from "../doctor/config-file.ts";
import { plural } from "../render/amounts.ts";
import { checkLines } from "../render/check.ts";
import type { SlotctlSession } from "../session.ts";

const help = `
Works while the agent is down. Without --config or --service, the only file in /etc/slotd is used. Run it with sudo to check
everything that the agent's user can read and write. Exits with 1 if a check failed, and with 0 if there were only warnings.

Examples:
  sudo slotctl doctor
  slotctl doctor --config ./web.toml
  slotctl doctor --json | jq '.checks[] | select(.ok != "ok")'`;

export function doctorCommand(session: SlotctlSession): Command {
  return new Command("doctor")
    .description("checks the configuration, the agent, the bus, ports, disk and limits, and says what to fix")
    .option("--config <file>", "the service's configuration (default: the only one in /etc/slotd)")
    .addHelpText("after", help)
    .action(async ({ config }: { config?: string }) => {
      const { context, options } = session;
      const { configDirectory, path, signal } = context;
      const configPath = chooseConfig({ config, service: options.service, configDirectory });
      // Loads native code and the NATS client, which other verbs need not wait for.
      const { examine } = await import("../doctor/examine.ts");
      const checks: Check[] = [];
      for await (const check of examine({ configPath, socket: options.socket, path, signal })) {
        checks.push(check);
        if (!session.json) session.print(...checkLines(check, session.colors, session.columns));
      }
      const failed = checks.filter((check) => check.ok === "fail").length;
      const warned = checks.filter((check) => check.ok === "warn").length;
      if (session.json) session.printJson({ ok: failed === 0, checks });
      else session.print("", `${plural(checks.length, "check")}: ${failed} failed, ${plural(warned, "warning")}`);
      if (failed > 0) session.exitCode = exitCodes.failed;
    });
}
