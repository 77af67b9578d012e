#!/usr/bin/env node
import { pino } from "pino";
import { parseDaemonOptions } from "../daemon/command-line.ts";
import { logDestination } from "../daemon/log-destination.ts";
import { checkOwnDirectory } from "../daemon/own-directory.ts";
import { programVersion } from "../daemon/version.ts";
import { type SlotdError, toSlotdError } from "../protocol/errors.ts";
import { terminalJson, terminalLine } from "../protocol/terminal-text.ts";
import { type EdgeOptions, edgeCommand, edgeExitCode } from "./command-line.ts";
import { loadEdgeConfig } from "./config/load.ts";
import { Edge } from "./edge.ts";
import { kindOf } from "./proxies/kinds.ts";
import { renderBase } from "./proxies/render-base.ts";
import { holdDirectory } from "./state/hold-directory.ts";
import { StateFile } from "./state/state-file.ts";

// Node's own handler would open a debugger.
let acceptLoss = () => {};
process.on("SIGUSR1", () => acceptLoss());

const options = parseDaemonOptions<EdgeOptions>(edgeCommand(), process.argv, end);

try {
  const config = loadEdgeConfig(options.config);
  if (options.checkConfig) {
    checkOwnDirectory(config.state_directory);
    const { service, edge, proxy } = config;
    const text = `${options.config}: good (service ${service}, edge ${edge}, proxy ${proxy.kind})`;
    console.log(options.json ? terminalJson({ good: true, service, edge, proxy: proxy.kind }) : terminalLine(text));
    process.exit(0);
  }
  if (options.renderBase) {
    const text = await renderBase(config.service, config.proxy, config.naming);
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
    await kindOf(config.proxy).create(config.service, config.proxy, config.naming, log),
    new StateFile(config.state_directory, config.service, log),
    log,
  );
  acceptLoss = () => edge.acceptLoss();
  edge.start();
  log.info({ edgeVersion: programVersion, pid: process.pid, proxy: config.proxy.kind }, "edge started");
  const stop = async (signal: NodeJS.Signals) => {
    log.info({ signal }, "edge was told to end");
    await edge.stop();
    process.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void stop(signal));
} catch (error) {
  fail(toSlotdError(error));
}

function fail(error: SlotdError): never {
  if (options.json) console.log(terminalJson({ good: false, error: error.toWire() }));
  end(edgeExitCode(error), ...error.lines());
}

function end(exitCode: number, ...messages: string[]): never {
  for (const message of messages) console.error(terminalLine(message));
  process.exit(exitCode);
}
