#!/usr/bin/env -S node --max-semi-space-size=1
import { pino } from "pino";
import { type DaemonOptions, parseDaemonOptions } from "../daemon/command-line.ts";
import { logDestination } from "../daemon/log-destination.ts";
import { programVersion } from "../daemon/version.ts";
import { type SlotdError, toSlotdError } from "../protocol/errors.ts";
import { terminalJson, terminalLine } from "../protocol/terminal-text.ts";
import { Agent } from "./agent.ts";
import { checkHost } from "./check-host.ts";
import { slotdCommand } from "./command.ts";
import { loadConfig } from "./config/load.ts";
import { Api } from "./control/api.ts";
import { serveOnBus } from "./control/micro-service.ts";
import { ControlServer } from "./control/server.ts";
import { ServiceManager } from "./os/service-manager.ts";

const options = parseDaemonOptions<DaemonOptions>(slotdCommand(process.stdout.columns), process.argv, end);

try {
  const config = loadConfig(options.config);
  if (options.checkConfig) {
    await checkHost(config, process.env.PATH ?? "");
    const text = `${options.config}: good (service ${config.service}, slots ${Object.keys(config.slots).join(", ")})`;
    console.log(options.json ? terminalJson({ good: true, service: config.service }) : terminalLine(text));
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
  const started = start();

  // Signals are acted on once everything is up. The first drains and stops; a second does not wait for requests.
  let signals = 0;
  const stop = async (signal: NodeJS.Signals) => {
    log.info({ signal }, "agent was told to end");
    manager.stopping();
    await started;
    await agent.stop(++signals === 1 ? "graceful" : "forced");
    await control.close();
    process.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void stop(signal));
  // To start another agent in place of this one: the workers stay.
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
  if (options.json) console.log(terminalJson({ good: false, error: error.toWire() }));
  end(error.code === "CONFIG_INVALID" ? 2 : 1, ...error.lines());
}

function end(exitCode: number, ...messages: string[]): never {
  for (const message of messages) console.error(terminalLine(message));
  process.exit(exitCode);
}
