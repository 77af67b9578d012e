import { Command } from "commander";
import type { DaemonOptions } from "../daemon/command-line.ts";
import { programVersion } from "../daemon/version.ts";
import type { SlotdError } from "../protocol/errors.ts";
import { helpText } from "./help-text.ts";

export interface EdgeOptions extends DaemonOptions {
  renderBase?: boolean;
}

export function edgeCommand(): Command {
  return new Command("slotd-edge")
    .description("Makes a proxy route to the versions that a fleet serves, and acknowledges what the proxy runs with")
    .version(programVersion)
    .option("-c, --config <file>", "configuration file (TOML); required")
    .option("--check-config", "check the configuration and exit")
    .option("--render-base", "print the configuration to start the proxy with, and exit")
    .option("--json", "print the outcome of --check-config as JSON")
    .option("--pretty", "log for people, not as JSON")
    .addHelpText("after", helpText);
}

/** How the process ends after an error. */
export function edgeExitCode({ code }: SlotdError): number {
  if (code === "CONFIG_INVALID") return 2;
  return code === "EDGE_RUNNING" || code === "PORT_TAKEN" ? 3 : 1;
}
