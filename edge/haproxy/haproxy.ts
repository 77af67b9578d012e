import type { Logger } from "pino";
import { ProxyRejectedError, type Proxy as TableProxy } from "../proxy.ts";
import { assertRenderable } from "../renderable.ts";
import type { Table } from "../table.ts";
import { mapFile } from "./base.ts";
import type { HaproxyConfig } from "./config.ts";
import { ensureTableFiles, writeTableFiles } from "./files.ts";
import { isDone, type Plan, planTable } from "./plan.ts";
import { renderRoutes } from "./routes-map.ts";
import { observeCommands, type Running, readRunning } from "./running.ts";
import { runCommands } from "./runtime.ts";

/** An HAProxy that runs as a service of its own, with the base configuration. It is changed by its runtime API, and never reloaded. */
export class Haproxy implements TableProxy {
  readonly kind = "haproxy";
  private applied: { table: Table; pid: number } | null = null;

  constructor(
    private readonly config: HaproxyConfig,
    private readonly log: Logger,
  ) {
    ensureTableFiles(config.directory);
  }

  async apply(table: Table, signal: AbortSignal): Promise<void> {
    assertRenderable(table);
    const plan = planTable(await this.observe(signal), table);
    const { running, answers } = await this.perform(plan, signal);
    if (!isDone(planTable(running, table)))
      throw new ProxyRejectedError(`HAProxy did not do what it was told: ${answers.join("; ").slice(0, 600)}`);
    // A state file, and a map, are only what HAProxy has: what it starts from when it starts is what was acknowledged.
    writeTableFiles(this.config.directory, { routes: renderRoutes(running.routes), state: running.state });
    this.applied = { table, pid: running.pid };
    if (plan.routes) this.log.info({ routes: Object.fromEntries(plan.routes) }, "switched the map of versions");
  }

  async isCurrent(signal: AbortSignal): Promise<boolean> {
    const running = await this.observe(signal);
    if (this.applied === null || running.pid !== this.applied.pid) return false;
    return isDone(planTable(running, this.applied.table));
  }

  async close(): Promise<void> {}

  /**
   * Few round trips, and the last of them tells what HAProxy runs with now.
   * @returns that, and what it said, where it said something
   */
  private async perform({ fill, routes, withdraw, refill }: Plan, signal: AbortSignal) {
    const map = mapFile(this.config.directory);
    const said: string[] = [];
    const last = [...withdraw, ...refill];
    if (routes === null) last.unshift(...fill);
    else {
      const [prepared = "", ...filled] = await this.run([`prepare map ${map}`, ...fill], signal);
      const [, version] = /^New version created: (\d+)$/.exec(prepared) ?? [];
      if (version === undefined)
        throw new ProxyRejectedError(`HAProxy did not prepare a map: ${prepared.slice(0, 200)}`);
      const entries = [...routes].map(([key, route]) => `add map @${version} ${map} ${key} ${route}`);
      const refused = (await this.run(entries, signal)).find((answer) => answer !== "");
      if (refused !== undefined) throw new ProxyRejectedError(`HAProxy did not take the map: ${refused.slice(0, 200)}`);
      said.push(...filled);
      last.unshift(`commit map @${version} ${map}`);
    }
    const answers = await this.run([...last, ...observeCommands(this.config.directory)], signal);
    said.push(...answers.slice(0, last.length));
    return { running: readRunning(answers.slice(last.length)), answers: said.filter((answer) => answer !== "") };
  }

  private async observe(signal: AbortSignal): Promise<Running> {
    return readRunning(await this.run(observeCommands(this.config.directory), signal));
  }

  private run(commands: readonly string[], signal: AbortSignal): Promise<string[]> {
    return runCommands(this.config.socket, commands, this.config.timeout_ms, signal);
  }
}
