#!/usr/bin/env -S node --max-semi-space-size=1
import { Command } from "commander";
import { pino } from "pino";
import { logDestination } from "../daemon/log-destination.ts";
import { programVersion } from "../daemon/version.ts";
import { type SlotdError, toSlotdError } from "../protocol/errors.ts";
import { terminalLine } from "../protocol/terminal-text.ts";
import { Agent } from "./agent.ts";
import { checkHost } from "./check-host.ts";
import { loadConfig } from "./config/load.ts";
import { Api } from "./control/api.ts";
import { serveOnBus } from "./control/micro-service.ts";
import { ControlServer } from "./control/server.ts";
import { ServiceManager } from "./os/service-manager.ts";

const command = new Command("slotd")
  .description("Deploy agent: keeps two versions of a web app serving side by side on this host")
  .version(programVersion)
  .requiredOption("-c, --config <file>", "configuration file (TOML)")
  .option("--check-config", "check the configuration and end")
  .option("--pretty", "log for people rather than as JSON")
  .addHelpText("after", "\nExamples:\n  slotd --config /etc/slotd/web.toml --check-config\n")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
command.parse();
const options = command.opts<{ config: string; checkConfig?: boolean; pretty?: boolean }>();

try {
  const config = loadConfig(options.config);
  if (options.checkConfig) {
    await checkHost(config);
    console.log(`${options.config}: good (service ${config.service}, slots ${Object.keys(config.slots).join(", ")})`);
    process.exit(0);
  }
  const log = pino(
    { level: config.logs.level, base: { service: config.service }, timestamp: pino.stdTimeFunctions.isoTime },
    await logDestination({ isPretty: options.pretty === true, isTerminal: process.stdout.isTTY }),
  );
  const manager = new ServiceManager(process.env, process.pid, (err) => log.warn({ err }, "systemd could not be told"));
  const agent = Agent.open(config, log, manager, process.env);
  const api = new Api(agent);
  const control = new ControlServer(config.control, api, log);
  const start = async () => {
    await agent.takeOver();
    await control.listen();
    serveOnBus(agent.bus, api, config, programVersion, log);
    agent.start();
    agent.unbroken().catch(() => process.exit(1));
    manager.ready(`agent ${programVersion} was started`);
    log.info({ agentVersion: programVersion, pid: process.pid }, "agent started");
  };
  const started = start(); // Signals are acted on once everything is up. The first drains and stops; a second does not wait for requests.
  let signals = 0;
  const end = async (signal: NodeJS.Signals) => {
    log.info({ signal }, "agent was told to end");
    manager.stopping();
    await started;
    await agent.stop(++signals === 1 ? "graceful" : "forced");
    await control.close();
    process.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void end(signal));
  // For the next agent: the workers stay.
  const leave = async () => {
    await started;
    await agent.leave();
    await control.close();
    process.exit(0);
  };
  // SIGHUP is a reload: systemd starts the next agent at once, which reads the configuration again.
  for (const signal of ["SIGUSR2", "SIGHUP"] as const) process.once(signal, () => void leave());
  await started;
} catch (error) {
  fail(toSlotdError(error));
}

function fail(error: SlotdError): never {
  console.error(terminalLine(`error ${error.code}: ${error.message}`));
  process.exit(error.code === "CONFIG_INVALID" ? 2 : 1);
}
