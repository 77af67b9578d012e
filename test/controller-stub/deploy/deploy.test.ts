import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { openBucket } from "../../../bus/buckets.ts";
import { parseOrder } from "../../../protocol/order.ts";
import { buckets, keys } from "../../../protocol/subjects.ts";
import { makeRelease } from "../../support/release.ts";
import { everywhere, Theatre } from "./stage.ts";

const theatre = new Theatre();
describe("a deploy of the whole fleet", () => {
  before(() => theatre.open());
  afterEach(() => theatre.clear());
  after(() => theatre.close());

  it("a release that was published elsewhere is deployed from what publish printed, and rolled back to", async (t) => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    const directory = await mkdtemp(join(tmpdir(), "slotd-elsewhere-"));
    t.after(() => rm(directory, { recursive: true, force: true }));
    const archive = fileURLToPath((await makeRelease(directory, "E", { files: { "app.js": "" } })).url);
    const printed = await stage.run("publish", "E", archive, "--to", join(directory, "store"));
    assert.equal(printed.code, 0, printed.stderr);
    const file = join(directory, "web.json");
    await writeFile(file, printed.stdout);
    const missing = await stage.run("deploy", "E");
    assert.match(missing.stderr, /error RELEASE_NOT_FOUND: .*published elsewhere needs --release FILE/);
    assert.match((await stage.run("deploy", "F", "--release", file)).stderr, /--release is of version E, not F/);
    const { code, stderr } = await stage.run("deploy", "E", "--release", file);
    assert.equal(code, 0, stderr);
    assert.deepEqual(await stage.served(), ["E", ["B", "E"]]);
    const order = parseOrder(
      (await (await openBucket(theatre.bus, buckets.orders)).get(keys.order(stage.service, "h1", "a")))?.string() ?? "",
    );
    assert.ok(order.action === "install" && order.release.url.startsWith(`file://${directory}/store/`));
    assert.equal((await stage.run("deploy", "C")).code, 0);
    assert.equal((await stage.run("rollback")).code, 0);
    assert.deepEqual((await stage.served())?.[0], "E");
  });

  it("three versions after one another: the fleet goes from nothing to B previous and C current, and no edge is surprised", async () => {
    const stage = await theatre.stage();
    const first = await stage.run("deploy", "A", "--message", "the first one", "--by", "ci");
    assert.equal(first.code, 0, first.stderr);
    assert.deepEqual(await stage.served(), ["A", ["A"]]);
    assert.deepEqual(stage.versions(), everywhere(stage, "A", null));

    assert.equal((await stage.run("deploy", "B")).code, 0);
    assert.deepEqual(await stage.served(), ["B", ["A", "B"]]);
    assert.deepEqual(stage.versions(), everywhere(stage, "A", "B"));

    const third = await stage.run("deploy", "C", "--wave", "1");
    assert.equal(third.code, 0, third.stderr);
    assert.deepEqual(await stage.served(), ["C", ["B", "C"]]);
    assert.deepEqual(stage.versions(), everywhere(stage, "C", "B"));
    const end = third.json();
    assert.deepEqual([end.outcome, end.version, end.hosts.done, end.failures], ["done", "C", 3, []]);
    assert.deepEqual(
      end.steps.map(({ step }: { step: string }) => step),
      ["withdrawing", "draining", "installing", "offering", "waiting", "prepared", "promoting"],
    );
    const barriers = end.steps.flatMap((step: { barriers: { edges: number; ms: number }[] }) => step.barriers);
    assert.ok(
      barriers.length >= 3 && barriers.every(({ edges, ms }: { edges: number; ms: number }) => edges === 2 && ms >= 0),
    );
    assert.deepEqual(stage.fleet.violations, []);

    const { lock, revisions, deploy } = await stage.record();
    assert.deepEqual([lock, deploy?.step, deploy?.halted], [null, "done", null]);
    assert.deepEqual(
      revisions.map(({ version, by, message }) => [version, by, message]),
      [
        ["C", "tester", ""],
        ["B", "tester", ""],
        ["A", "ci", "the first one"],
      ],
    );
    const messages = (await stage.events()).map(({ kind, host, slot, message }) =>
      [kind, host, slot, message].join(" "),
    );
    assert.ok(messages.includes("deploy controller - the deploy of C reached step installing"), messages.join("\n"));
    assert.ok(messages.includes("deploy controller - the deploy of C reached step done"));
  });

  it("in the end each host knows which of its versions is current and which previous, without any work", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    const kv = await openBucket(theatre.bus, buckets.orders);
    const role = async (slot: string) => {
      const order = parseOrder((await kv.get(keys.order(stage.service, "h1", slot)))?.string() ?? "");
      return order.action === "install" && [order.release.version, order.role];
    };
    assert.deepEqual(
      [await role("a"), await role("b")],
      [
        ["A", "previous"],
        ["B", "current"],
      ],
    );
  });
});
