import type { Logger } from "pino";
import type { Table } from "../../table/table.ts";
import { type ManagedProxy, ProxyRejectedError } from "../contract.ts";
import { assertRenderable } from "../renderable.ts";
import { mapFile } from "./base.ts";
import type { HaproxyConfig } from "./config.ts";
import { ensureTableFiles, type TableFiles, writeTableFiles } from "./files.ts";
import { type HaproxyPlan, isEmptyPlan, planTable } from "./plan.ts";
import { renderRoutesMap } from "./routes-map.ts";
import { observeCommands, parseRunningHaproxy, type RunningHaproxy } from "./running.ts";
import { runCommands } from "./runtime.ts";

/**
 * An HAProxy that runs as its own service with the base configuration. It gets changes by its runtime API and is never
 * reloaded.
 */
export class Haproxy implements ManagedProxy {
  readonly kind = "haproxy";
  private applied: { table: Table; pid: number } | null = null;
  /** What was applied, until it is in the files that HAProxy starts from. */
  private unpersisted: TableFiles | null = null;
  /** The process whose old base configuration was already logged. */
  private warnedPid: number | null = null;
  private readonly map: string;
  private readonly observing: readonly string[];

  constructor(
    private readonly service: string,
    private readonly config: HaproxyConfig,
    private readonly log: Logger,
  ) {
    this.map = mapFile(config.directory);
    this.observing = observeCommands(config.directory);
    ensureTableFiles(config.directory, service);
  }

  async apply(table: Table, signal: AbortSignal): Promise<void> {
    assertRenderable(table);
    // Preparing a map that turns out not to be needed costs nothing, and saves a round trip if it is.
    const [prepared = "", ...answers] = await this.run([`prepare map ${this.map}`, ...this.observing], signal);
    const before = this.parse(answers);
    this.warnOfOldBase(before);
    const plan = planTable(before, table);
    const { running, said } = isEmptyPlan(plan)
      ? { running: before, said: [] }
      : await this.perform(plan, preparedVersion(prepared), signal);
    if (!isEmptyPlan(planTable(running, table)))
      throw new ProxyRejectedError(`HAProxy did not carry out the commands: ${said.join("; ").slice(0, 600)}`);
    this.applied = { table, pid: running.pid };
    this.unpersisted = { routes: renderRoutesMap(running.routes), state: running.state };
    if (plan.routes) this.log.info({ routes: Object.fromEntries(plan.routes) }, "switched the map of versions");
  }

  async persist(): Promise<void> {
    if (this.unpersisted === null) return;
    await writeTableFiles(this.config.directory, this.unpersisted);
    this.unpersisted = null;
  }

  async isCurrent(signal: AbortSignal): Promise<boolean> {
    const running = this.parse(await this.run(this.observing, signal));
    if (this.applied === null || running.pid !== this.applied.pid) return false;
    return isEmptyPlan(planTable(running, this.applied.table));
  }

  async close(): Promise<void> {}

  private warnOfOldBase({ pid, outdated }: RunningHaproxy): void {
    if (outdated === null || pid === this.warnedPid) return;
    this.warnedPid = pid;
    this.log.warn(
      { pid },
      `HAProxy runs with an older base configuration: ${outdated}. Render the base configuration again and reload HAProxy`,
    );
  }

  /**
   * Performs a plan in few round trips; the last one also observes the result.
   * @param version of the prepared map
   * @returns what HAProxy runs with now, and its non-empty answers
   */
  private async perform({ fill, routes, withdraw, refill }: HaproxyPlan, version: string, signal: AbortSignal) {
    const said: string[] = [];
    const last = [...withdraw, ...refill];
    if (routes === null) last.unshift(...fill);
    else {
      const entries = [...routes].map(([key, route]) => `add map @${version} ${this.map} ${key} ${route}`);
      const answers = await this.run([...entries, ...fill], signal);
      const refused = answers.slice(0, entries.length).find((answer) => answer !== "");
      if (refused !== undefined) throw new ProxyRejectedError(`HAProxy refused the map: ${refused.slice(0, 200)}`);
      said.push(...answers);
      last.unshift(`commit map @${version} ${this.map}`);
    }
    const answers = await this.run([...last, ...this.observing], signal);
    said.push(...answers.slice(0, last.length));
    return { running: this.parse(answers.slice(last.length)), said: said.filter((answer) => answer !== "") };
  }

  private parse(answers: readonly string[]): RunningHaproxy {
    return parseRunningHaproxy(this.service, answers);
  }

  private run(commands: readonly string[], signal: AbortSignal): Promise<string[]> {
    return runCommands(this.config.socket, commands, this.config.timeout_ms, signal);
  }
}

/** @param answer to `prepare map` */
function preparedVersion(answer: string): string {
  const [, version] = /^New version created: (\d+)$/.exec(answer) ?? [];
  if (version === undefined) throw new ProxyRejectedError(`HAProxy did not prepare a map: ${answer.slice(0, 200)}`);
  return version;
}
