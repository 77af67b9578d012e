import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { EdgeStatus } from "../../protocol/routes.ts";
import { endAll, run } from "../controller-stub/cli.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { startNats } from "../support/nats/server.ts";
import { makeRelease } from "../support/release.ts";
import { PATIENCE_MS, until } from "../support/until.ts";
import { ask, useEdgeFleet } from "./fleet.ts";

/** What docs/operations.md says under "The bus has lost its store". */
describe("a bus that has lost its store", () => {
  const hosts = useHosts();
  const fleet = useEdgeFleet();
  afterEach(endAll);

  /** A bus whose store can be wiped. */
  async function wipeableBus() {
    const storeDir = mkdtempSync(join(tmpdir(), "slotd-wiped-"));
    fleet.onEnd(() => rmSync(storeDir, { recursive: true, force: true, maxRetries: 3 }));
    const nats = await startNats({ storeDir });
    fleet.onEnd(() => nats.stop());
    const wipe = async () => {
      await nats.kill();
      for (const name of readdirSync(storeDir)) rmSync(join(storeDir, name), { recursive: true });
      await nats.restart();
    };
    return { nats, wipe };
  }

  it("is reported by the edge, and set up again by a deploy of the current default, without a failed request", {
    timeout: 6 * PATIENCE_MS,
  }, async () => {
    const { nats, wipe } = await wipeableBus();
    const names = ["w1", "w2"];
    const all = await Promise.all(
      names.map((name, i) => hosts.start({}, { nats: nats.url, name, bind: `127.0.6.${11 + i}` })),
    );
    const edge = await fleet.edge({ nats: nats.url });
    await edge.untilStatus("no routes yet", ({ problems }) => problems[0]?.code === "NO_ROUTES");
    const controller = async (...args: string[]) => {
      const ended = await run(nats.url, ...args);
      assert.equal(ended.code, 0, `${args.join(" ")}: ${ended.stdout} ${ended.stderr}`);
      return ended;
    };
    const release = async (version: string) => {
      const { url } = await makeRelease(all[0]?.archives ?? "", version, { app: "app.mjs" });
      return fileURLToPath(url);
    };
    const files = { A: await release("A"), B: await release("B") };
    for (const [version, file] of Object.entries(files)) {
      await controller("publish", "web", version, file);
      await controller("deploy", "web", version, "--wave", "100%");
    }
    const pids = () => Promise.all(all.map((host) => host.pids("b")));
    const before = await pids();

    const answers: string[] = [];
    let over = false;
    const user = (async () => {
      while (!over) {
        const { status, version } = await ask(edge.url).catch((error) => ({ status: 0, version: String(error) }));
        answers.push(`${status} ${version}`);
      }
    })();
    await wipe();
    const gone = ({ problems }: EdgeStatus) => problems.some(({ code }) => code === "ROUTES_GONE");
    assert.equal((await edge.untilStatus("the routes are gone", gone)).default, "B");
    assert.match((await controller("edges", "web")).stdout, /ROUTES_GONE/);
    const stillThere = async () => (await Promise.all(all.map((host) => host.member("b")))).every((m) => m !== null);
    await until("hosts are registered again", stillThere);

    await controller("publish", "web", "B", files.B);
    await controller("deploy", "web", "B", "--wave", "100%");
    const status = await edge.untilStatus("all is well", ({ problems }) => problems.length === 0);
    assert.deepEqual([status.default, status.endpoints > 0, status.appliedRoutes > 0], ["B", true, true]);
    over = true;
    await user;
    assert.deepEqual([new Set(answers), answers.length > 50], [new Set(["200 B"]), true]);
    assert.deepEqual(await pids(), before);
  });
});
