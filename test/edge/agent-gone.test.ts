import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { buckets, keys } from "../../protocol/subjects.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { makeRelease } from "../support/release.ts";
import { PATIENCE_MS, until } from "../support/until.ts";
import { ask, useEdgeFleet } from "./fleet.ts";

describe("users of a host whose agent is gone", () => {
  const hosts = useHosts();
  const fleet = useEdgeFleet();

  it("are served on by both versions, however long it is gone", { timeout: 4 * PATIENCE_MS }, async () => {
    const host = await hosts.start({ bind: "127.0.6.1" });
    for (const [slot, version] of [
      ["a", "1"],
      ["b", "2"],
    ] as const)
      await host.installed(slot, await makeRelease(host.archives, version, { app: "app.mjs" }));
    const edge = await fleet.edge({ nats: hosts.nats.url });
    const members = await fleet.members(hosts.nats.url);
    await edge.untilAcknowledged({ routes: await members.routes({ default: "2", serving: ["1", "2"] }) });
    await edge.untilStatus("both slots", ({ endpoints }) => endpoints === 2);

    const answers: (string | null)[] = [];
    let over = false;
    const users = Promise.all(
      [undefined, "1"].map(async (version) => {
        while (!over) {
          const { status, version: from } = await ask(edge.url, version);
          answers.push(status === 200 ? from : `${status} for ${version}`);
        }
      }),
    );
    await host.killAgent();
    // Leases lapse one by one: the default's first, the other version's a moment later.
    await sleep(2_000);
    await host.put(
      buckets.serversets,
      keys.member("web", "prod", host.name, "a"),
      JSON.stringify(await host.member("a")),
    );
    await edge.untilStatus("both are held back", ({ heldBack }) => heldBack === 2);
    const held = answers.length;
    await host.startAgent();
    await edge.untilStatus("nothing is held back", ({ heldBack, endpoints }) => heldBack === 0 && endpoints === 2);
    over = true;
    await users;
    assert(held > 0 && answers.length > held);
    assert.deepEqual(new Set(answers), new Set(["1", "2"]));
  });

  it("go to another host when the workers there end as well, and no request fails", {
    timeout: 4 * PATIENCE_MS,
  }, async () => {
    const all = await Promise.all(["127.0.6.2", "127.0.6.3"].map((bind) => hosts.start({ bind })));
    const edge = await fleet.edge({ nats: hosts.nats.url });
    const members = await fleet.members(hosts.nats.url);
    for (const host of all) await host.installed("b", await makeRelease(host.archives, "2", { app: "app.mjs" }));
    await edge.untilAcknowledged({ routes: await members.routes({ default: "2", serving: ["2"] }) });
    await edge.untilStatus("both hosts", ({ endpoints }) => endpoints === 2);
    const answers: string[] = [];
    let over = false;
    const user = (async () => {
      while (!over) {
        const { status, text } = await ask(edge.url);
        answers.push(status === 200 ? "200" : `${status} ${text}`);
      }
    })();
    const [one] = all;
    const pids = (await one?.pids("b")) ?? [];
    for (const host of all) await host.killAgent();
    await edge.untilStatus("both are held back", ({ heldBack }) => heldBack === 2);
    assert.equal(pids.length, 2);
    for (const pid of pids) process.kill(pid, "SIGKILL");
    await edge.untilStatus("one is left", ({ heldBack, endpoints }) => heldBack === 1 && endpoints === 1);
    const before = answers.length;
    await until("users are served", () => answers.length > before + 50);
    over = true;
    await user;
    assert.deepEqual(new Set(answers), new Set(["200"]));
  });
});
