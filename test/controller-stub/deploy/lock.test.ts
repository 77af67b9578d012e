import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { openBucket } from "../../../bus/buckets.ts";
import { DeployLock } from "../../../controller-stub/deploy/run/records/deploy-lock.ts";
import { nextEpoch } from "../../../controller-stub/orders/epochs.ts";
import { parseOrder } from "../../../protocol/order.ts";
import { buckets, keys } from "../../../protocol/subjects.ts";
import { until } from "../../support/until.ts";
import { run } from "../cli.ts";
import { everywhere, Theatre } from "./stage.ts";

const theatre = new Theatre();
describe("the lock of a deploy", () => {
  before(() => theatre.open());
  afterEach(() => theatre.clear());
  after(() => theatre.close());

  const OPTIONS = { holder: "someone", leaseMs: 300, patienceMs: 60_000, epochs: { issued: [], claims: [] } };

  it("a second controller is refused at once, and learns who is working and since when", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.behave({ installMs: 60_000 });
    const running = stage.launch("deploy", "C");
    await running.line(/"kind":"wave"/);
    const { lock } = await stage.record();
    for (const verb of [["deploy", "D"], ["promote"], ["converge"], ["shutdown", "A"]]) {
      const second = await stage.run(...(verb as [string, ...string[]]));
      assert.equal(second.code, 1);
      assert.ok(["HELD_BY", "NOT_PREPARED", "DEPLOY_UNFINISHED"].includes(second.json().error.code), second.stdout);
    }
    const { error } = (await stage.run("deploy", "D")).json();
    assert.deepEqual([error.code, error.holder, error.since], ["HELD_BY", lock?.holder, lock?.since]);
    assert.match(error.holder, /^tester@.+ \(pid \d+\)$/);
  });

  it("resume, rollback and abort do not take a lock whose holder lives", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.behave({ installMs: 60_000 });
    const running = stage.launch("deploy", "C", "--lease", "6000");
    await running.line(/"kind":"wave"/);
    const all = await Promise.all(["resume", "rollback", "abort"].map((verb) => stage.run(verb)));
    for (const { code, json } of all) assert.deepEqual([code, json().error.code], [1, "HELD_BY"]);
    assert.equal(running.child.exitCode, null);
  });

  it("a run that lost the lock stops at once and says who has it", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.behave({ installMs: 60_000 });
    const running = stage.launch("deploy", "C", "--lease", "600");
    await running.line(/"kind":"wave"/);
    const { lock } = await stage.record();
    // Stopped for longer than its lease, as a machine that swaps, or a laptop that sleeps.
    running.child.kill("SIGSTOP");
    stage.fleet.behave({ installMs: 5 });
    const other = await stage.run("resume", "--exclude-absent", "--timeout", "2000");
    assert.ok([0, 1].includes(other.code ?? -1), other.stderr);
    running.child.kill("SIGCONT");
    const { code, json } = await running.ended;
    assert.deepEqual([code, json().error.code], [1, "LOCK_LOST"], JSON.stringify(json()));
    assert.notEqual((await stage.record()).epoch, lock?.epoch);
  });

  it("an order of a later epoch is never overwritten: the deploy stops", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.behave({ installMs: 60_000 }, ["h1"]);
    const running = stage.launch("deploy", "C", "--wave", "1");
    await running.line(/"kind":"wave"/);
    const by = ["--slot", "a", "--host", "h3"];
    const install = await run(theatre.nats.url, "install", stage.service, "D", ...by);
    assert.equal(install.code, 0, install.stderr);
    stage.fleet.host("h1").hurry();
    const { code, json } = await running.ended;
    assert.deepEqual([code, json().error.code], [1, "FENCED"]);
    const kv = await openBucket(theatre.bus, buckets.orders);
    const order = parseOrder((await kv.get(keys.order(stage.service, "h3", "a")))?.string() ?? "");
    assert.ok(order.action === "install" && order.release.version === "D");
    // It is known now: the next run has a higher epoch.
    const resumed = await stage.run("resume");
    assert.equal(resumed.code, 0, resumed.stderr);
    assert.deepEqual(stage.versions(), everywhere(stage, "C", "B"));
  });

  it("an epoch that is taken while the lock is held changes nothing of it", async () => {
    const lock = await DeployLock.acquire(theatre.bus, "apart", OPTIONS);
    assert.equal(await nextEpoch(theatre.bus, "apart", OPTIONS.epochs), lock.epoch + 1);
    await lock.write();
    assert.equal(lock.deploy.epoch, lock.epoch + 1);
    await lock.release();
    assert.equal(lock.lost.aborted, false);
  });

  it("of many runs that acquire a lock at once, only one gets it", async () => {
    const tries = Array.from({ length: 8 }, () => DeployLock.acquire(theatre.bus, "many", OPTIONS).catch(() => null));
    const taken = (await Promise.all(tries)).filter((lock) => lock !== null);
    assert.equal(taken.length, 1);
    await taken[0]?.release();
  });

  it("a lock is renewed while it is held, and a deleted record ends it", async () => {
    const lock = await DeployLock.acquire(theatre.bus, "renewed", OPTIONS);
    const kv = await openBucket(theatre.bus, buckets.deploys);
    const renewals = async () => (await kv.get("renewed"))?.json<{ lock: { renewals: number } }>().lock.renewals ?? 0;
    await until("it is renewed", async () => (await renewals()) >= 3);
    await kv.delete("renewed");
    await until("it is lost", () => lock.lost.aborted);
    assert.match(String(lock.lost.reason), /the lock of renewed was lost: it was removed/);
  });
});
