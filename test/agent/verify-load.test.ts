import assert from "node:assert/strict";
import { request } from "node:http";
import { describe, it } from "node:test";
import type { Release } from "../../protocol/release.ts";
import type { Verification } from "../../protocol/release-status.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases } from "../support/agent/orders.ts";
import { PATIENCE_MS, until } from "../support/until.ts";

const CLIENTS = 80;
const timeout = 3 * PATIENCE_MS;

/** Asks for a verification on a connection of its own and hangs up after so long; null: waits for the answer. */
function verify(host: Host, version: string, hangUpAfterMs: number | null): Promise<{ status: number; body: string }> {
  return new Promise((resolve) => {
    const path = `/v1/releases/${version}/verify`;
    const call = request({ socketPath: host.socket, method: "POST", path, agent: false }, async (response) => {
      let body = "";
      try {
        for await (const chunk of response.setEncoding("utf8")) body += chunk;
      } catch {
        // Hung up in the middle of the answer.
      }
      resolve({ status: response.statusCode ?? 0, body });
    });
    call.once("error", () => resolve({ status: 0, body: "" }));
    call.end("{}");
    if (hangUpAfterMs !== null) setTimeout(() => call.destroy(), hangUpAfterMs);
  });
}

describe("many verifications at once", () => {
  const hosts = useHosts();

  async function hostWithRelease(): Promise<Host> {
    const host = await hosts.start();
    const [one] = await appReleases(host, "1");
    await host.installed("a", one as Release);
    return host;
  }

  it("whose clients hang up at every moment do not end the agent", { timeout }, async () => {
    const host = await hostWithRelease();
    const pid = host.agentPid;
    for (const span of [1_000, 15_000])
      await Promise.all(Array.from({ length: CLIENTS }, (_, i) => verify(host, "1", (i * span) / CLIENTS)));
    assert.equal((await host.status()).pid, pid, "the agent is still the same");
    const last = await until("a verification is answered", async () => {
      const answer = await verify(host, "1", null);
      return answer.status === 200 ? answer : undefined;
    });
    assert.equal((JSON.parse(last.body) as Verification).good, true);
  });

  it("are answered, or refused with a code", { timeout }, async () => {
    const host = await hostWithRelease();
    const answers = await Promise.all(Array.from({ length: CLIENTS }, () => verify(host, "1", null)));
    const good = answers.filter(({ status }) => status === 200);
    const refused = answers.filter(({ status }) => status === 503);
    assert.equal(good.length + refused.length, CLIENTS);
    assert.ok(good.length >= 17, `${good.length} of them are answered`);
    assert.ok(refused.length > 0, "not all of them wait");
    for (const { body } of refused) assert.equal(JSON.parse(body).error.code, "AGENT_BUSY");
    for (const { body } of good) assert.equal((JSON.parse(body) as Verification).good, true);
  });
});
