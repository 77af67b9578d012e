import { Command } from "commander";
import { programVersion } from "../daemon/version.ts";
import { helpWidth, wrapHelp } from "../daemon/wrap-help.ts";

const help = `
SIGTERM drains and stops all slots; a second one does not wait for requests. SIGUSR2 and SIGHUP end the agent and leave the workers running for the next one, which systemd starts.

Exit codes:
  0  stopped, or the configuration is good
  1  failed
  2  wrong usage or invalid configuration

Examples:
  slotd --config /etc/slotd/web.toml --check-config
  slotd --config web.toml --pretty`;

/** The command line of `slotd`. @param columns of the terminal, if there is one */
export function slotdCommand(columns: number | undefined): Command {
  const width = helpWidth(columns);
  return new Command("slotd")
    .description("Deploy agent: keeps two versions of a web app serving side by side on this host")
    .version(programVersion)
    .option("-c, --config <file>", "configuration file (TOML); required")
    .option("--check-config", "check the configuration and exit")
    .option("--json", "print the outcome of --check-config as JSON")
    .option("--pretty", "log for people rather than as JSON")
    .configureOutput({ getOutHelpWidth: () => width })
    .addHelpText("after", wrapHelp(help, width));
}
