import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { Table, VersionNaming } from "../../table/table.ts";
import { type ManagedProxy, ProxyRejectedError } from "../contract.ts";
import { VarnishCli } from "./cli.ts";
import type { VarnishConfig } from "./config.ts";
import { VclFiles } from "./files.ts";
import { type BackendHealth, isSettled, nearestTable, planHealth } from "./plan.ts";
import { observeVarnish, type RunningVarnish } from "./running.ts";
import { renderVcl } from "./vcl.ts";

/** `slotd_SERVICE_TIME_RANDOM_NUMBER`. Older edges, each alone on its varnishd, left out the service. */
const VCL_NAME = /^slotd_(?:(.+)_)?[0-9a-z]+_[0-9a-f]{8}_\d+$/;

/**
 * A varnishd that runs as its own service. A table that the loaded VCL can reach by its backends' health is applied in
 * milliseconds, and compiled in later, after a time without changes. Any other table is compiled at once, but no more
 * often than configured.
 */
export class Varnish implements ManagedProxy {
  readonly kind = "varnish";
  private readonly cli: VarnishCli;
  private readonly files: VclFiles;
  /** The VCL that this process made varnishd use. */
  private compiled: { name: string; table: Table } | null = null;
  private applied: Table | null = null;
  /** The VCL of the applied table, until it is in the file that varnishd starts with. */
  private unpersisted: string | null = null;
  private lastLoadAt = Number.NEGATIVE_INFINITY;
  /** The label of this service's VCL; null if the edge has the varnishd for itself. */
  private readonly label: string | null;
  private readonly run: string;
  private loads = 0;
  private settling: NodeJS.Timeout | null = null;
  /** Ends with the last queued change: changes run one at a time. */
  private turn: Promise<unknown> = Promise.resolve();
  private readonly closed = new AbortController();

  constructor(
    private readonly service: string,
    private readonly config: VarnishConfig,
    private readonly naming: VersionNaming,
    private readonly log: Logger,
  ) {
    const { host, port, secret_file, timeout_ms } = config;
    this.cli = new VarnishCli({ host, port, secretFile: secret_file, timeoutMs: timeout_ms });
    this.files = new VclFiles(config.directory);
    this.label = config.shared ? `slotd_${service}` : null;
    this.run = `slotd_${service}_${Date.now().toString(36)}_${randomBytes(4).toString("hex")}`;
  }

  apply(table: Table, signal: AbortSignal): Promise<void> {
    this.stopSettling();
    return this.inTurn(async () => {
      await this.route(table, signal);
      await this.assertReached(signal);
    });
  }

  async persist(): Promise<void> {
    if (this.unpersisted === null) return;
    await this.files.writeCurrent(this.unpersisted);
    this.unpersisted = null;
  }

  isCurrent(signal: AbortSignal): Promise<boolean> {
    return this.inTurn(async () => {
      const { compiled, applied } = this;
      const running = await this.observe(compiled?.name ?? null, signal);
      if (!compiled || !applied || running.active !== compiled.name || !running.isReached) return false;
      const target = nearestTable(compiled.table, applied, applied);
      return target.exact && planHealth(compiled.table, running.sick, target.table).length === 0;
    });
  }

  async close(): Promise<void> {
    this.stopSettling();
    this.closed.abort(new Error("the edge ends"));
    await this.turn.catch(() => {});
    this.cli.close();
  }

  private async route(table: Table, signal: AbortSignal): Promise<void> {
    const text = renderVcl(table, this.naming, this.config);
    const running = await this.observe(this.compiled?.name ?? null, signal);
    if (this.compiled?.name !== running.active) this.compiled = null;
    if (this.compiled) {
      const target = nearestTable(this.compiled.table, this.applied ?? this.compiled.table, table);
      const changes = planHealth(this.compiled.table, running.sick, target.table);
      await this.setHealth(this.compiled.name, changes, signal);
      if (target.exact) {
        this.applied = table;
        this.unpersisted = text;
        if (!isSettled(this.compiled.table, table)) this.settleLater();
        return;
      }
    }
    try {
      await this.load(table, text, signal);
      this.unpersisted = text;
    } catch (error) {
      if (error instanceof ProxyRejectedError) await this.goBack(signal);
      throw error;
    }
  }

  private async load(table: Table, text: string, signal: AbortSignal): Promise<void> {
    await sleep(Math.max(0, this.lastLoadAt + this.config.min_load_interval_ms - performance.now()), undefined, {
      signal,
    });
    this.lastLoadAt = performance.now();
    this.files.writeCandidate(text);
    const name = `${this.run}_${++this.loads}`;
    try {
      await this.command(["vcl.load", name, this.files.candidate], signal, this.config.load_timeout_ms);
      await this.command(this.label === null ? ["vcl.use", name] : ["vcl.label", this.label, name], signal);
    } finally {
      this.files.discardCandidate();
    }
    const before = this.compiled;
    this.compiled = { name, table };
    this.applied = table;
    this.log.info({ vcl: name, ms: Math.round(performance.now() - this.lastLoadAt) }, "loaded a VCL");
    // A request that began with the previous VCL may still be retried by it.
    if (before) {
      const { sick } = await this.observe(before.name, signal);
      const gone = planHealth(before.table, sick, table).filter(
        ({ healthy, backend }) => !healthy && backend[0] === "b",
      );
      await this.setHealth(before.name, gone, signal);
    }
    await this.discardOthers(name, signal);
  }

  /** After a refused table: restores what was withdrawn on the way to it. */
  private async goBack(signal: AbortSignal): Promise<void> {
    const { compiled, applied } = this;
    if (!compiled || !applied) return;
    const { sick } = await this.observe(compiled.name, signal);
    await this.setHealth(
      compiled.name,
      planHealth(compiled.table, sick, nearestTable(compiled.table, applied, applied).table),
      signal,
    );
  }

  private async setHealth(vcl: string, changes: readonly BackendHealth[], signal: AbortSignal): Promise<void> {
    const commands = changes.map((to) => ["backend.set_health", `${vcl}.${to.backend}`, to.healthy ? "auto" : "sick"]);
    for (const { status, text } of await this.cli.runAll(commands, signal))
      if (status !== 200) throw new ProxyRejectedError(`varnishd did not set a backend's health: ${shown(text)}`);
  }

  /** @throws ProxyRejectedError if no request can get to the VCL of this service */
  private async assertReached(signal: AbortSignal): Promise<void> {
    if (this.label === null || (await this.observe(null, signal)).isReached) return;
    throw new ProxyRejectedError(
      `no VCL of varnishd sends requests to the label ${this.label}: load one with return (vcl(${this.label})) and use it`,
    );
  }

  /** varnishd keeps a discarded VCL until its last request has ended. */
  private async discardOthers(name: string, signal: AbortSignal): Promise<void> {
    const { idle } = await this.observe(null, signal);
    const old = idle.filter((other) => this.isOwn(other) && other !== name);
    const answers = await this.cli.runAll(
      old.map((other) => ["vcl.discard", other]),
      signal,
    );
    for (const { status, text } of answers)
      if (status !== 200) this.log.warn({ answer: shown(text) }, "an old VCL was not discarded");
  }

  private isOwn(vcl: string): boolean {
    const [, service = this.service] = VCL_NAME.exec(vcl) ?? [null, null];
    return service === this.service;
  }

  private observe(name: string | null, signal: AbortSignal): Promise<RunningVarnish> {
    return observeVarnish(this.cli, this.label, name, signal);
  }

  private async command(words: readonly string[], signal: AbortSignal, timeoutMs?: number): Promise<void> {
    const [answer] = await this.cli.runAll([words], signal, timeoutMs);
    if (answer?.status !== 200)
      throw new ProxyRejectedError(`varnishd refused ${words[0]}: ${shown(answer?.text ?? "")}`);
  }

  private settleLater(): void {
    this.stopSettling();
    this.settling = setTimeout(() => {
      this.settling = null;
      this.inTurn(() => this.settle()).catch((error: unknown) => {
        if (this.closed.signal.aborted) return;
        this.log.warn({ err: error }, "the settled VCL could not be loaded; the current one stays");
        if (this.settling === null) this.settleLater();
      });
    }, this.config.settle_ms);
    this.settling.unref();
  }

  private async settle(): Promise<void> {
    const { applied, compiled } = this;
    if (!applied || !compiled || this.settling !== null || isSettled(compiled.table, applied)) return;
    await this.load(applied, renderVcl(applied, this.naming, this.config), this.closed.signal);
  }

  private stopSettling(): void {
    if (this.settling) clearTimeout(this.settling);
    this.settling = null;
  }

  private inTurn<T>(act: () => Promise<T>): Promise<T> {
    const mine = this.turn.then(act, act);
    this.turn = mine.catch(() => {});
    return mine;
  }
}

function shown(text: string): string {
  return text.trim().slice(0, 600);
}
