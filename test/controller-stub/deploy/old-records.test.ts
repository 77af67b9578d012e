import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { openBucket } from "../../../bus/buckets.ts";
import type { buckets } from "../../../protocol/subjects.ts";
import { repository } from "../../support/release.ts";
import { everywhere, Stage, Theatre } from "./stage.ts";

interface Entry {
  bucket: (typeof buckets)[keyof typeof buckets];
  key: string;
  value: unknown;
}

const theatre = new Theatre();

let stages = 0;

/**
 * A fleet whose bus holds what a controller of revision 94bca69 left there while it deployed C: A is the previous
 * version, B the default. The hosts read their last orders from the bus.
 */
async function stageOf(name: string): Promise<Stage> {
  const file = join(repository, "test/controller-stub/deploy/records", `${name}.jsonl`);
  const service = `old${++stages}`;
  const lines = (await readFile(file, "utf8"))
    .trim()
    .replaceAll(/\bweb\d\b/g, service)
    .split("\n");
  for (const line of lines) {
    const { bucket, key, value }: Entry = JSON.parse(line);
    await (await openBucket(theatre.bus, bucket)).put(key, JSON.stringify(value));
  }
  const stage = await Stage.set(theatre.nats.url, theatre.bus, service, { hosts: ["h1", "h2", "h3"] });
  theatre.stages.push(stage);
  return stage;
}

async function succeed(stage: Stage, verb: string, ...args: string[]) {
  const { code, stderr, json } = await stage.run(verb, ...args);
  assert.equal(code, 0, stderr);
  return json();
}

describe("a deploy that an older controller recorded", () => {
  before(() => theatre.open());
  afterEach(() => theatre.clear());
  after(() => theatre.close());

  const statuses: [name: string, step: string, halted: string | null, isHeld: boolean][] = [
    ["killed-while-installing", "installing", null, true],
    ["halted-while-installing", "installing", "HOSTS_FAILED", false],
    ["prepared", "prepared", null, false],
    ["halted-while-restoring", "restoring", "EDGES_MISSING", false],
    ["done", "done", null, false],
  ];
  for (const [name, step, halted, isHeld] of statuses)
    it(`is shown by status: ${name}`, async () => {
      const stage = await stageOf(name);
      const { deploy, lock } = await succeed(stage, "status");
      assert.deepEqual([deploy.step, deploy.halted?.code ?? null, lock !== null], [step, halted, isHeld]);
    });

  for (const name of ["killed-while-installing", "halted-while-installing"]) {
    it(`is completed by resume: ${name}`, async () => {
      const stage = await stageOf(name);
      assert.equal((await succeed(stage, "resume")).outcome, "done");
      assert.deepEqual([await stage.served(), stage.versions()], [["C", ["B", "C"]], everywhere(stage, "C", "B")]);
    });

    it(`is undone by rollback: ${name}`, async () => {
      const stage = await stageOf(name);
      assert.equal((await succeed(stage, "rollback")).outcome, "rolledBack");
      assert.deepEqual([await stage.served(), stage.versions()], [["B", ["A", "B"]], everywhere(stage, "A", "B")]);
    });
  }

  it("is promoted when it is prepared", async () => {
    const stage = await stageOf("prepared");
    assert.equal((await succeed(stage, "promote")).outcome, "done");
    assert.deepEqual(await stage.served(), ["C", ["B", "C"]]);
  });

  it("is rolled back further when its rollback halted", async () => {
    const stage = await stageOf("halted-while-restoring");
    assert.equal((await succeed(stage, "resume")).outcome, "rolledBack");
    assert.deepEqual([await stage.served(), stage.versions()], [["B", ["A", "B"]], everywhere(stage, "A", "B")]);
  });

  it("is switched back by rollback when it is done", async () => {
    const stage = await stageOf("done");
    assert.equal((await succeed(stage, "rollback")).outcome, "rolledBack");
    assert.deepEqual(await stage.served(), ["B", ["B", "C"]]);
  });

  it("is nothing to resume when it is done, and the next deploy follows it", async () => {
    const stage = await stageOf("done");
    assert.equal((await stage.run("resume")).json().error.code, "NO_DEPLOY");
    assert.equal((await succeed(stage, "deploy", "D")).outcome, "done");
    assert.deepEqual([await stage.served(), stage.versions()], [["D", ["C", "D"]], everywhere(stage, "C", "D")]);
  });
});
