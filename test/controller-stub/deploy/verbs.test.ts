import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { until } from "../../support/until.ts";
import { run } from "../cli.ts";
import { everywhere, Theatre } from "./stage.ts";

const theatre = new Theatre();
describe("the verbs around a deploy", () => {
  before(() => theatre.open());
  afterEach(() => theatre.clear());
  after(() => theatre.close());

  it("a dry run prints waves, slots, steps and edges, and changes nothing", async () => {
    const stage = await theatre.stage({ stageOf: (host) => (host === "h3" ? "canary" : "prod") });
    await stage.twoVersions();
    const before = await stage.record();
    const args = ["deploy", stage.service, "C", "--dry-run", "--wave", "1", "--canary", "canary"];
    const plan = (await run(theatre.nats.url, ...args, "--json")).json();
    assert.deepEqual(
      plan.waves.map((wave: { host: string; slot: string; was: string }[]) =>
        wave.map(({ host, slot, was }) => [host, slot, was]),
      ),
      [[["h3", "a", "A"]], [["h1", "a", "A"]], [["h2", "a", "A"]]],
    );
    assert.deepEqual([plan.outcome, plan.withdrawn, plan.edges, plan.absent], ["planned", ["A"], ["e1", "e2"], []]);
    assert.deepEqual(
      plan.steps.map(({ step }: { step: string }) => step),
      ["withdrawing", "draining", "installing", "offering", "waiting", "promoting"],
    );
    const { stdout } = await run(theatre.nats.url, ...args);
    assert.match(stdout, /B is the default, C would be deployed; nothing was changed/);
    assert.match(stdout, /wave 1: h3 slot a \(holds A\)\n {2}wave 2: h1 slot a/);
    assert.deepEqual(await stage.record(), before);
    assert.deepEqual(stage.versions(), everywhere(stage, "A", "B"));
  });

  it("only and exclude choose hosts by name and pattern, and the barrier counts only those", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    const done = await stage.run("deploy", "C", "--only", "h*", "--exclude", "h3");
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stderr, /1 host is not in this deploy and will not get C/);
    assert.deepEqual(stage.versions(), { h1: ["C", "B"], h2: ["C", "B"], h3: ["A", "B"] });
    const converged = await stage.run("converge");
    assert.equal(converged.code, 0, converged.stderr);
    assert.deepEqual(converged.json().hosts, ["h3"]);
    assert.deepEqual(stage.versions(), everywhere(stage, "C", "B"));
  });

  it("converge installs the served versions on an added host", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    await stage.fleet.addHost("h4");
    await until("h4 is known", async () => (await stage.run("hosts")).json().hosts.length === 4);
    const converged = await stage.run("converge");
    assert.equal(converged.code, 0, converged.stderr);
    assert.deepEqual(stage.versions().h4?.toSorted(), ["A", "B"]);
    assert.deepEqual((await stage.run("converge")).json().hosts, []);
    await stage.fleet.addHost("h5");
    await until("h5 is known", async () => (await stage.run("hosts")).json().hosts.length === 5);
    // A deploy brings the default version to a host that lacks it, before the new one.
    const done = await stage.run("deploy", "C");
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual(stage.versions().h5?.toSorted(), ["B", "C"]);
    assert.deepEqual(stage.fleet.violations, []);
  });

  it("shutdown takes the previous version out of the routes, then out of the hosts; the default needs force", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    assert.equal((await stage.run("shutdown", "B")).json().error.code, "VERSION_IN_USE");
    const gone = await stage.run("shutdown", "A", "--wave", "1");
    assert.equal(gone.code, 0, gone.stderr);
    assert.deepEqual([await stage.served(), stage.versions()], [["B", ["B"]], everywhere(stage, null, "B")]);
    assert.deepEqual(stage.fleet.violations, []);
    assert.equal((await stage.run("shutdown", "A")).json().error.code, "NO_HOSTS");
    assert.equal((await stage.run("rollback")).json().error.code, "NOTHING_TO_ROLL_BACK");
    assert.equal((await stage.run("force-shutdown", "B")).code, 2);
    const forced = await stage.run("force-shutdown", "B", "--reason", "leaks data");
    assert.equal(forced.code, 0, forced.stderr);
    assert.match(forced.stderr, /B is the default of .*: nothing will answer its users/);
    assert.deepEqual(stage.versions(), everywhere(stage, null, null));
  });

  it("status, hosts, edges and revisions show the deploy, what hosts lack, and what edges have applied", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    await stage.fleet.addHost("h4");
    await until("h4 is known", async () => (await stage.run("hosts")).json().hosts.length === 4);
    const text = async (verb: string) => (await run(theatre.nats.url, verb, stage.service)).stdout;
    const status = await text("status");
    assert.match(status, /routes {3}default B, also serving A, revision \d+ \(\d+\), epoch 2/);
    assert.match(status, /deploy {3}B after A: done, 3 of 3 hosts, by tester at /);
    assert.match(status, /e1 +pretend +B +A B +6 /);
    assert.match(await text("hosts"), /h4 +prod +a:- b:- +lacks A B/);
    assert.match(await text("edges"), /e2 +pretend +B/);
    const revisions = await text("revisions");
    assert.match(revisions, /^B +default +3 +6\/6 +0 \(0 busy\) +tester/m);
    assert.match(revisions, /^A +serving +3 +6\/6/m);
    const json = (await stage.run("status")).json();
    assert.deepEqual([json.routes.default, json.edges.length, json.deploy.step, json.lock], ["B", 2, "done", null]);
  });

  it("wrong options are reported before anything is read from the bus", async () => {
    for (const args of [
      ["deploy", "web", "A", "--wave", "0"],
      ["deploy", "web", "A", "--wave", "101%"],
      ["deploy", "web", "A", "--only", "H!"],
      ["deploy", "web", "..", "--dry-run"],
      ["deploy", "web", "A", "--lease", "5"],
    ]) {
      const { code, stderr } = await run("nats://127.0.0.1:1", ...args);
      assert.equal(code, 2, args.join(" "));
      assert.match(stderr, /^error USAGE: /);
    }
    assert.equal((await run("nats://127.0.0.1:1", "deploy", "web", "A", "--json")).code, 3);
  });
});
