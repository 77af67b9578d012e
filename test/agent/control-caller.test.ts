import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync } from "node:fs";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases } from "../support/agent/orders.ts";

/** Asks as another user of the host, claiming to be `by`. These tests are run as root. */
async function askAs(uid: number, gid: number, host: Host, path: string, by: string): Promise<void> {
  const script = `
    const [socketPath, path, by] = process.argv.slice(1);
    const sent = require("node:http").request({ socketPath, path, method: "POST" }, (answer) => {
      answer.resume().on("end", () => process.exit(answer.statusCode === 200 ? 0 : 1));
    });
    sent.end(JSON.stringify({ by }));`;
  await promisify(execFile)(process.execPath, ["-e", script, host.socket, path, by], { uid, gid, cwd: "/" });
}

describe("who steers by the control socket", () => {
  const hosts = useHosts();

  it("is recorded as the kernel says, whatever the request claims", async () => {
    const host = await hosts.start({ control: { group: "daemon" }, app: { workers: 4 } });
    chmodSync(host.directory, 0o755);
    const [one] = await appReleases(host, "1");
    assert(one);
    await host.installed("a", one);
    await askAs(12345, 1, host, "/v1/slots/a/restart", "root@elsewhere");
    await host.untilSlot("a", "was restarted", ({ workers }) => workers.restarts === 2 && workers.ready === 2);
    await askAs(1, 1, host, "/v1/slots/a/drain", "root@elsewhere");
    await host.untilState("a", "draining");
    await askAs(0, 0, host, "/v1/slots/a/undrain", "anna@web1");
    const told = (await host.events()).map(({ message }) => message);
    assert(told.includes("restart was asked for by user (uid 12345)"), told.join("\n"));
    assert(told.includes("drain was asked for by daemon (uid 1)"), told.join("\n"));
    // Root may act for others: sudo says for whom.
    assert(told.includes("drain was cancelled by root (uid 0) for anna@web1"), told.join("\n"));
  });
});
