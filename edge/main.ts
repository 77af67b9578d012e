#!/usr/bin/env node
import { Command } from "commander";
import { pino } from "pino";
import { logDestination } from "../daemon/log-destination.ts";
import { programVersion } from "../daemon/version.ts";
import { type SlotdError, toSlotdError } from "../protocol/errors.ts";
import { terminalLine } from "../protocol/terminal-text.ts";
import { loadEdgeConfig } from "./config/load.ts";
import { Edge } from "./edge.ts";
import { helpText } from "./help-text.ts";
import { kindOf } from "./proxies/kinds.ts";
import { renderBase } from "./proxies/render-base.ts";
import { holdDirectory } from "./state/hold-directory.ts";
import { StateFile } from "./state/state-file.ts";

// Node's own handler would open a debugger.
let acceptLoss = () => {};
process.on("SIGUSR1", () => acceptLoss());

const command = new Command("slotd-edge")
  .description("Makes a proxy route to the versions that a fleet serves, and acknowledges what the proxy runs with")
  .version(programVersion)
  .requiredOption("-c, --config <file>", "configuration file (TOML)")
  .option("--check-config", "check the configuration and exit")
  .option("--render-base", "print the configuration to start the proxy with, and exit")
  .option("--pretty", "log for people, not as JSON")
  .addHelpText("after", helpText)
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
command.parse();
const options = command.opts<{ config: string; checkConfig?: boolean; renderBase?: boolean; pretty?: boolean }>();

try {
  const config = loadEdgeConfig(options.config);
  if (options.checkConfig) {
    console.log(`${options.config}: good (service ${config.service}, edge ${config.edge}, proxy ${config.proxy.kind})`);
    process.exit(0);
  }
  if (options.renderBase) {
    const text = await renderBase(config.proxy, config.naming);
    await new Promise((written) => process.stdout.write(text, written));
    process.exit(0);
  }
  const log = pino(
    {
      level: config.log_level,
      base: { service: config.service, edge: config.edge },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    await logDestination({ isPretty: options.pretty === true, isTerminal: process.stdout.isTTY }),
  );
  holdDirectory(config.state_directory);
  const edge = new Edge(
    config,
    await kindOf(config.proxy).create(config.proxy, config.naming, log),
    new StateFile(config.state_directory, config.service, log),
    log,
  );
  acceptLoss = () => edge.acceptLoss();
  edge.start();
  log.info({ edgeVersion: programVersion, pid: process.pid, proxy: config.proxy.kind }, "edge started");
  const end = async (signal: NodeJS.Signals) => {
    log.info({ signal }, "edge was told to end");
    await edge.stop();
    process.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void end(signal));
} catch (error) {
  fail(toSlotdError(error));
}

function fail(error: SlotdError): never {
  for (const line of error.lines()) console.error(terminalLine(line));
  if (error.code === "CONFIG_INVALID") process.exit(2);
  process.exit(error.code === "EDGE_RUNNING" || error.code === "PORT_TAKEN" ? 3 : 1);
}
