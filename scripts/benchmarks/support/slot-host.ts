import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Cgroup } from "../../../agent/os/cgroup.ts";
import { Host, type HostOptions, type Settings } from "../../../test/support/agent/host.ts";
import { startNats } from "../../../test/support/nats/server.ts";
import { buildPackage } from "../../../test/support/systemd/package.ts";
import { until } from "../../../test/support/until.ts";
import { releaseOfApp } from "./app.ts";
import type { Run } from "./run.ts";

/**
 * A host with a real agent and a real bus, set as an operator gets it: only what `settings` says differs from the
 * defaults.
 * @param program another agent than the one that was built here, or other options of its Node
 */
export async function startHost(
  run: Run,
  settings: Settings,
  program: Pick<HostOptions, "agent" | "node" | "nodeOptions"> = {},
): Promise<{ host: Host; nats: string }> {
  const nats = await startNats();
  run.own(() => nats.stop());
  const defaults = { health: undefined, readiness: undefined, drain: undefined, logs: undefined };
  const app = { stop_grace_ms: undefined, restart_backoff_min_ms: undefined, ...(settings.app as Settings) };
  const host = await Host.create({ nats: nats.url, settings: { ...defaults, ...settings, app }, ...program });
  run.own(() => host.close());
  run.signal.throwIfAborted();
  await host.startAgent();
  await until("the agent is on the bus", async () => (await host.status()).bus.connected);
  return { host, nats: nats.url };
}

/** The agent of the package, with the runtime of the package: one file rather than hundreds, as hosts have it. */
export async function packagedAgent(run: Run): Promise<Required<Pick<HostOptions, "agent" | "node">>> {
  const root = mkdtempSync(join(tmpdir(), "slotd-package-"));
  run.own(() => rmSync(root, { recursive: true, force: true }));
  execFileSync("dpkg-deb", ["-x", await buildPackage(), root]);
  return { agent: join(root, "usr/lib/slotd/slotd.js"), node: join(root, "usr/lib/slotd/bin/node") };
}

/**
 * This Node, started in a control group that is delegated as systemd does it, so that each worker gets one of its own.
 * Null where this machine has no cgroup v2 hierarchy that can be used.
 */
export function delegatedNode(run: Run): string | null {
  const group = Cgroup.of("self")?.child(`slotd-bench-${process.pid}`);
  const directory = mkdtempSync(join(tmpdir(), "slotd-delegated-"));
  run.own(() => {
    rmSync(directory, { recursive: true, force: true });
    group?.remove();
  });
  try {
    if (!group) return null;
    execFileSync("python3", ["-c", `import os; os.setxattr("${group.make().path}", "user.delegate", b"1")`]);
    const node = join(directory, "node");
    const script = `#!/bin/sh\necho 0 >"${group.path}/cgroup.procs" && exec "${process.execPath}" "$@"\n`;
    writeFileSync(node, script, { mode: 0o755 });
    return node;
  } catch {
    return null;
  }
}

/** Has a version of the benchmarks' app serve in a slot. */
export async function install(host: Host, slot: string, version: string): Promise<void> {
  await host.installed(slot, await releaseOfApp(host.archives, version));
}
