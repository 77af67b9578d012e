import { Command, CommanderError } from "commander";
import { programVersion } from "../daemon/version.ts";
import type { SlotdError } from "../protocol/errors.ts";
import { helpText } from "./help-text.ts";

export interface EdgeOptions {
  config: string;
  checkConfig?: boolean;
  renderBase?: boolean;
  pretty?: boolean;
  json?: boolean;
}

/** A mistake in the command line, or nothing left to do after `--help` and `--version`. */
export class CommandLineEnd extends Error {
  constructor(
    readonly exitCode: 0 | 2,
    message: string,
  ) {
    super(message);
  }
}

/** @throws CommandLineEnd */
export function parseCommandLine(argv: readonly string[]): EdgeOptions {
  const command = new Command("slotd-edge")
    .description("Makes a proxy route to the versions that a fleet serves, and acknowledges what the proxy runs with")
    .version(programVersion)
    .option("-c, --config <file>", "configuration file (TOML); required")
    .option("--check-config", "check the configuration and exit")
    .option("--render-base", "print the configuration to start the proxy with, and exit")
    .option("--json", "print the outcome of --check-config as JSON")
    .option("--pretty", "log for people, not as JSON")
    .addHelpText("after", helpText)
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  try {
    command.parse(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) throw new CommandLineEnd(0, "");
    throw wrong(error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " "));
  }
  const options = command.opts<Partial<EdgeOptions>>();
  const { config, checkConfig, json } = options;
  if (config === undefined) throw wrong("--config <file> is missing");
  if (json && !checkConfig) throw wrong("--json goes with --check-config; the log is JSON unless --pretty is given");
  return { ...options, config };
}

function wrong(what: string): CommandLineEnd {
  return new CommandLineEnd(2, `error USAGE: ${what.replace(/\.$/, "")}; see slotd-edge --help`);
}

/** How the process ends after an error. */
export function edgeExitCode({ code }: SlotdError): number {
  if (code === "CONFIG_INVALID") return 2;
  return code === "EDGE_RUNNING" || code === "PORT_TAKEN" ? 3 : 1;
}
