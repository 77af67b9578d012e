import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { Load } from "../support/load/load.ts";
import { makeRelease } from "../support/release.ts";
import { PATIENCE_MS, until } from "../support/until.ts";

const timeout = 4 * PATIENCE_MS;
/** As people write them: it knows PORT, and nothing of signals. */
const SERVER = `import fs from "node:fs"; import http from "node:http";
  const version = process.env.SLOTD_VERSION;
  http.createServer((request, response) => {
    if (request.url === "/alive" && fs.existsSync(process.env.FLAG)) response.statusCode = 500;
    response.setHeader("x-app-version", version);
    if (request.url === "/stream") {
      let left = 20;
      const timer = setInterval(() => {
        response.write("tick\\n");
        if (--left === 0) response.end(), clearInterval(timer);
      }, 50);
    } else request.resume().once("end", () => response.end(process.pid + "\\n"));
  }).listen(process.env.PORT);`;
const FILES = {
  "server.mjs": SERVER,
  "package.json": JSON.stringify({ name: "app", version: "1.0.0", scripts: { start: "node server.mjs" } }),
};

describe("an unchanged Node app, which npm starts and which knows PORT alone", { timeout }, () => {
  const hosts = useHosts();
  const settings = { app: { listen: "node", command: ["npm", "start"], workers: 4 } };

  const install = async (host: Host, slot: string, version: string) =>
    host.installed(slot, await makeRelease(host.archives, version, { files: FILES }));
  const loads = (host: Host) => {
    const target = () => ({ host: host.address, port: host.ports.a as number });
    const all = [
      new Load({ target, clients: 1 }),
      new Load({ target, clients: 2, method: "POST" }),
      new Load({ target, clients: 2, method: "POST", keepAlive: true }),
      new Load({ target, clients: 1, path: "/stream" }),
    ];
    hosts.onEnd(() => Promise.all(all.map((load) => load.stop())));
    return {
      started: () => until("the load is on", () => all.every(({ requests }) => requests > 0)),
      failures: async () => {
        await Promise.all(all.map((load) => load.stop()));
        return all.flatMap(({ failures }) => failures);
      },
    };
  };

  it("serves in both slots with two workers, and restarts without a failed request", async () => {
    const host = await hosts.start(settings);
    await install(host, "a", "1");
    await install(host, "b", "2");
    for (const slot of ["a", "b"]) assert.equal((await host.slot(slot)).workers.ready, 2);
    const load = loads(host);
    await load.started();
    await host.do("restart", "a");
    await until("all were restarted", async () =>
      (await host.events()).some(({ message }) => message === "all workers were restarted"),
    );
    assert.deepEqual(await load.failures(), []);
  });

  it("is taken over by the next agent after kill -9, and replaced by the next version", async () => {
    const host = await hosts.start(settings);
    await install(host, "a", "1");
    const pids = await host.pids("a");
    const load = loads(host);
    await load.started();
    await host.killAgent();
    await host.startAgent();
    await host.untilState("a", "serving");
    assert.deepEqual(await host.pids("a"), pids);
    assert.deepEqual(await load.failures(), []);
    await install(host, "a", "2");
    assert.match(await (await fetch(host.url("a"))).text(), /^\d+\n$/);
    assert.equal((await host.slot("a")).lastDrain?.cutRequests, 0);
  });

  it("has the liveness of each worker probed", async () => {
    const liveness = { path: "/alive", interval_ms: 100, timeout_ms: 5_000 };
    const host = await hosts.start({ ...settings, liveness });
    const flag = join(host.directory, "ill");
    host.configure({ ...settings, liveness, app: { ...settings.app, environment: { FLAG: flag } } });
    await host.endAgent("SIGUSR2");
    await host.startAgent();
    await install(host, "a", "1");
    writeFileSync(flag, "");
    await until("an ill worker was ended", async () =>
      (await host.events()).some(({ message }) => message.includes("its liveness probes failed")),
    );
    rmSync(flag);
    await host.untilSlot("a", "is whole again", ({ workers }) => workers.ready === 2);
  });

  it("gets the stop signal once, though npm ends before it does", async () => {
    const host = await hosts.create();
    const told = join(host.directory, "told");
    // The second signal would end it at once.
    const once = `process.once("SIGTERM", () => {
      fs.appendFileSync(process.env.FLAG, "told ");
      setTimeout(() => { fs.appendFileSync(process.env.FLAG, "done "); process.exit(); }, 500);
    });`;
    host.configure({ app: { ...settings.app, workers: 2, environment: { FLAG: told } } });
    await host.startAgent();
    const files = { ...FILES, "server.mjs": SERVER + once };
    await host.installed("a", await makeRelease(host.archives, "1", { files }));
    await host.do("restart", "a");
    await until("the old one is done", () => existsSync(told) && readFileSync(told, "utf8") === "told done ");
  });

  it("may say in its own slotd.toml how it listens", async () => {
    const host = await hosts.start({ app: { command: ["npm", "start"] } });
    const files = { ...FILES, "slotd.toml": '[app]\nlisten = "node"\n' };
    await host.installed("a", await makeRelease(host.archives, "1", { files }));
    assert.equal((await host.slot("a")).workers.ready, 2);
  });
});
