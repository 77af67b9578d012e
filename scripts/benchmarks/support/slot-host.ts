import { Host, type Settings } from "../../../test/support/host.ts";
import { startNats } from "../../../test/support/nats-server.ts";
import { until } from "../../../test/support/until.ts";
import { releaseOfApp } from "./app.ts";
import type { Run } from "./run.ts";

/** A host with a real agent and a real bus, set as an operator gets it: only what `settings` says differs from the defaults. */
export async function startHost(run: Run, settings: Settings): Promise<{ host: Host; nats: string }> {
  const nats = await startNats();
  run.own(() => nats.stop());
  const defaults = { health: undefined, readiness: undefined, drain: undefined, logs: undefined };
  const app = { stop_grace_ms: undefined, restart_backoff_min_ms: undefined, ...(settings.app as Settings) };
  const host = await Host.create({ nats: nats.url, settings: { ...defaults, ...settings, app } });
  run.own(() => host.close());
  run.signal.throwIfAborted();
  await host.startAgent();
  await until("the agent is on the bus", async () => (await host.status()).bus.connected);
  return { host, nats: nats.url };
}

/** Has a version of the benchmarks' app serve in a slot. */
export async function install(host: Host, slot: string, version: string): Promise<void> {
  await host.installed(slot, await releaseOfApp(host.archives, version));
}
