import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { until } from "../support/until.ts";

const CODE = "HOST_NAME_TAKEN";
const SLOTCTL = fileURLToPath(new URL("../../agent/cli/main.js", import.meta.url));

const problem = async (host: Host) => (await host.status()).lastError;
const untilTaken = (host: Host) =>
  until(`the agent in ${host.directory} says that its name is taken`, async () => {
    const error = await problem(host);
    return error?.code === CODE ? error : null;
  });
const told = async (host: Host) => (await host.events()).filter(({ code }) => code === CODE).length;

describe("two agents of one service with one host name", () => {
  const hosts = useHosts();

  for (const [what, one, other] of [
    ["the same name", "cloned", "cloned"],
    ["names that are the same in keys", "w.1", "w_1"],
  ] as const) {
    it(`(${what}) both say so: in the status, in one event, and in doctor`, async () => {
      const [first, second] = [await hosts.start({}, { name: one }), await hosts.start({}, { name: other })];
      for (const [host, rival] of [
        [first, second],
        [second, first],
      ] as const) {
        const error = await untilTaken(host);
        assert.match(error.message, new RegExp(`host ${rival.name.replace(".", "\\.")}, pid ${rival.agentPid}`));
        assert.match(error.message, /give each host a name of its own/);
        assert.equal(await told(host), 1);
        const doctor = spawnSync(process.execPath, [
          SLOTCTL,
          "doctor",
          "--config",
          host.configFile,
          "--socket",
          host.socket,
        ]);
        assert.match(doctor.stdout.toString(), /another agent writes/);
        assert.equal(doctor.status, 1);
      }
    });
  }

  it("is no conflict with its own predecessor, nor with what is no status of an agent", async () => {
    const host = await hosts.start();
    for (const signal of ["SIGKILL", "SIGUSR2"] as const) {
      await host.endAgent(signal);
      await host.startAgent();
    }
    await until("the agent has the bus", async () => (await host.status()).bus.connected);
    const own = await host.status();
    let revision = 0;
    for (const text of ["garbage", "{}", "more garbage", JSON.stringify(own)]) {
      const put = await host.put("slotd-hosts", `web.${host.name}`, text);
      assert(put > revision);
      // The agent writes over it in its own time.
      revision = await until("the agent has written since", async () => {
        const kv = await host.entry("slotd-hosts", `web.${host.name}`);
        return kv.revision > put ? kv.revision : null;
      });
    }
    assert.equal(await problem(host), null);
    assert.equal(await told(host), 0);
  });
});
