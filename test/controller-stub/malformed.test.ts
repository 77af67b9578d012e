import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { type Bucket, openBucket } from "../../bus/buckets.ts";
import type { BucketName } from "../../bus/kept.ts";
import type { BusSession } from "../../bus/session.ts";
import { toMember } from "../../protocol/member.ts";
import type { EdgeStatus } from "../../protocol/routes.ts";
import { buckets, keys, subjects } from "../../protocol/subjects.ts";
import { type NatsServer, startNats } from "../support/nats/server.ts";
import { makeRelease } from "../support/release.ts";
import { connectTo, hostStatus, slotStatus } from "./fake-host.ts";
import { runHere, type Said } from "./in-process.ts";

const AT = "2026-01-01T00:00:00.000Z";
const SHA = "a".repeat(64);
const LARGE = JSON.stringify({ text: "x".repeat(200_000) });

/** What is written where a good value belongs. */
const GARBAGE: Record<string, string> = {
  "no JSON": "nonsense \u001b]52;c;aGk=\u0007",
  "JSON of the wrong shape": '{"epoch":"three","default":7}',
  "200 kB": LARGE,
  "an epoch beyond all": '{"epoch":9007199254740990}',
};

/** Each bucket's good key, the key that garbage gets, and the verbs that show what is in it. */
const PLACES: { bucket: BucketName; key: (service: string) => string; shownBy: string[] }[] = [
  { bucket: buckets.orders, key: (service) => keys.order(service, "h2", "a"), shownBy: ["install"] },
  {
    ...{ bucket: buckets.hosts, key: (service) => keys.host(service, "h2") },
    shownBy: ["status", "hosts", "revisions", "watch", "install", "deploy"],
  },
  { bucket: buckets.serversets, key: (service) => `${service}.prod.h2.a`, shownBy: [] },
  {
    ...{ bucket: buckets.routes, key: keys.routes },
    shownBy: ["status", "hosts", "edges", "revisions"],
  },
  { bucket: buckets.edges, key: (service) => keys.edge(service, "e2"), shownBy: ["status", "edges"] },
  { bucket: buckets.deploys, key: keys.deploy, shownBy: ["status", "revisions"] },
];

const SHORT = ["--timeout", "300"];
const RUN = [...SHORT, "--barrier-timeout", "100"];

/** Every verb about a service. None waits long. */
const verbs = (service: string, archive: string): string[][] => [
  ["status", service],
  ["hosts", service],
  ["edges", service],
  ["revisions", service],
  ["watch", service, ...SHORT],
  ["status", service, "--watch", ...SHORT],
  ["publish", service, "X", archive],
  ["install", service, "X", "--slot", "a", "--host", "h1"],
  ["uninstall", service, "A", "--slot", "a", "--host", "h1"],
  ["deploy", service, "X", "--dry-run"],
  ["deploy", service, "X", ...RUN],
  ["prepare", service, "X", ...RUN],
  ["promote", service, ...RUN],
  ["resume", service, ...RUN],
  ["rollback", service, ...RUN],
  ["abort", service, ...RUN],
  ["converge", service, ...RUN],
  ["shutdown", service, "A", ...RUN],
  ["force-shutdown", service, "A", "--reason", "test", ...RUN],
  ["edges", service, "--forget", "nobody"],
  ["repair", service],
];

/** The verbs that can't do without a bucket's value. The others have nothing to do here before they come to it. */
const NEEDING: Partial<Record<BucketName, RegExp>> = {
  [buckets.routes]: /^(deploy|prepare|converge|shutdown|force-shutdown) /,
  [buckets.deploys]: /^(deploy|prepare|converge|shutdown|force-shutdown|promote|resume|rollback|abort|(un)?install) /,
};

let nats: NatsServer;
let bus: BusSession;
let directory: string;
let archive: string;

describe("values on the bus that can't be read", () => {
  before(async () => {
    nats = await startNats();
    bus = await connectTo(nats.url);
    directory = await mkdtemp(join(tmpdir(), "slotd-malformed-"));
    archive = fileURLToPath((await makeRelease(directory, "X", { files: { "app.js": "" } })).url);
  });
  after(async () => {
    await bus?.close();
    await nats?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  let cases = 0;
  for (const { bucket, key, shownBy } of PLACES) {
    for (const [kind, text] of Object.entries(GARBAGE)) {
      const service = `web${++cases}`;
      it(`${kind} in ${bucket}: every verb goes on or says what to do, and repair puts it right`, async () => {
        await writeGood(service);
        await (await openBucket(bus, bucket)).put(key(service), text);
        for (const args of verbs(service, archive)) {
          const said = await runHere(nats.url, args);
          const [verb = ""] = args;
          const about = `${args.join(" ")}: ${said.code}\n${said.stdout}${said.stderr}`;
          assert.doesNotMatch(said.stderr, /INTERNAL|TypeError/, about);
          assert(said.code <= 2, about);
          assert.equal(said.code === 0, !/^error [A-Z_]+: ./m.test(said.stderr), about);
          if (shownBy.includes(verb) && !args.includes("--forget")) assertNames(said, bucket, key(service), about);
          if (NEEDING[bucket]?.test(args.join(" ")))
            assert.match(said.stderr, /error VALUE_MALFORMED: .*`slotd-controller repair web\d+`/, about);
        }
        await assertRepaired(service);
      });
    }

    it(`a key that ${bucket} can't have stops no verb, and repair removes it`, async () => {
      const service = `web${++cases}`;
      await writeGood(service);
      const wrong = `${service}.Wrong!.key.of.many.parts`;
      await bus.js.publish(subjects.puts(bucket, wrong), "{}");
      for (const args of verbs(service, archive)) {
        const said = await runHere(nats.url, args);
        assert.doesNotMatch(said.stderr, /INTERNAL|TypeError|VALUE_MALFORMED/, `${args}: ${said.stderr}`);
      }
      const shown = await runHere(nats.url, ["repair", service, "--yes"]);
      assert.match(shown.stdout, new RegExp(`${wrong} in ${bucket}.*no key of this bucket`));
      await assertRepaired(service);
    });
  }

  it("routes and the record become what they were before; orders, too", async () => {
    await writeGood("back");
    const places = [buckets.routes, buckets.deploys] as const;
    const before = await Promise.all(places.map(async (each) => (await open(each)).get("back")));
    for (const each of places) await (await open(each)).put("back", "nonsense");
    const order = keys.order("back", "h1", "a");
    const good = await (await open(buckets.orders)).get(order);
    await (await open(buckets.orders)).put(order, '{"epoch":9007199254740990}');
    assert.equal((await runHere(nats.url, ["repair", "back", "--yes"])).code, 0);
    const now = await Promise.all(places.map(async (each) => (await open(each)).get("back")));
    assert.deepEqual(
      now.map((entry) => entry?.string()),
      before.map((entry) => entry?.string()),
    );
    assert.equal((await (await open(buckets.orders)).get(order))?.string(), good?.string());
  });

  it("a record without a good one before it starts over above every epoch that was issued", async () => {
    await writeGood("anew");
    const kv = await open(buckets.deploys);
    for (let i = 0; i < 6; i++) await kv.put("anew", `nonsense ${i}`);
    assert.equal((await runHere(nats.url, ["repair", "anew", "--yes"])).code, 0);
    const record = { service: "anew", epoch: 3, lock: null, deploy: null, revisions: [] };
    assert.deepEqual((await kv.get("anew"))?.json(), record);
  });

  it("repair asks on a terminal, changes nothing on a no, and needs --yes elsewhere", async () => {
    await writeGood("asked");
    const kv = await open(buckets.hosts);
    await kv.put("asked.h2", "nonsense");
    const refused = await runHere(nats.url, ["repair", "asked", "--json"]);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /--yes is required/);
    assert.equal(JSON.parse(refused.stdout).repairs[0].key, "asked.h2");
    const questions: string[] = [];
    const ask = (answer: boolean) => async (question: string) => {
      questions.push(question);
      return answer;
    };
    assert.match((await runHere(nats.url, ["repair", "asked"], { ask: ask(false) })).stdout, /nothing was changed/);
    assert.equal((await kv.get("asked.h2"))?.string(), "nonsense");
    assert.match((await runHere(nats.url, ["repair", "asked"], { ask: ask(true) })).stdout, /1 values were repaired/);
    assert.equal((await kv.get("asked.h2"))?.operation, "DEL");
    assert.equal(questions.length, 2);
  });

  it("edges --forget takes any key, and barriers wait for no key that an edge can't have", async () => {
    await writeGood("forgetful");
    for (const name of ["Wrong!", "a.b"]) await bus.js.publish(subjects.puts(buckets.edges, `forgetful.${name}`), "{}");
    const shown = await runHere(nats.url, ["edges", "forgetful", "--json"]);
    assert.deepEqual(
      JSON.parse(shown.stdout).edges.map(({ edge }: { edge: string }) => edge),
      ["e1"],
    );
    assert.match(shown.stderr, /left out the edge status under forgetful\.Wrong!: Wrong! is no edge's name/);
    for (const name of ["Wrong!", "a.b"]) {
      const forgotten = await runHere(nats.url, ["edges", "forgetful", "--forget", name]);
      assert.equal(forgotten.code, 0, forgotten.stderr);
    }
    assert.equal((await runHere(nats.url, ["edges", "forgetful"])).stderr, "");
  });
});

function open(bucket: BucketName): Promise<Bucket> {
  return openBucket(bus, bucket);
}

/** A verb names the value under a key: in a warning, or in its table. */
function assertNames(said: Said, bucket: BucketName, key: string, about: string): void {
  if (bucket === buckets.edges) assert.match(said.stdout, /^e2 .*can't be read/m, about);
  else assert(said.stderr.includes(`under ${key}`) || said.stderr.includes(`of ${key} in`), about);
}

async function assertRepaired(service: string): Promise<void> {
  const repaired = await runHere(nats.url, ["repair", service, "--yes"]);
  assert.equal(repaired.code, 0, repaired.stderr);
  const again = await runHere(nats.url, ["repair", service]);
  assert.match(again.stdout, /every value of web\d+ on the bus can be read/, again.stdout);
  for (const verb of ["status", "hosts", "edges", "revisions"]) {
    const said = await runHere(nats.url, [verb, service]);
    assert.deepEqual([said.code, said.stderr], [0, ""], verb);
  }
}

/** A service whose version B is the default, beside A, on one host behind one edge; nobody is alive. */
async function writeGood(service: string): Promise<void> {
  const order = { id: "o-3", epoch: 3, issuedBy: "t", issuedAt: AT, action: "uninstall", version: "Z" };
  const slots = {
    a: slotStatus("a", { state: "serving", version: "A", sha256: SHA, epoch: 3 }),
    b: slotStatus("b", { state: "serving", version: "B", sha256: SHA, epoch: 2 }),
  };
  const routes = { epoch: 3, revision: 1, mode: "atomic", default: "B", serving: ["A", "B"] };
  const revision = await put(buckets.routes, keys.routes(service), routes);
  const edge: EdgeStatus = {
    ...{ service, edge: "e1", proxy: "builtin", appliedRoutes: revision, appliedServersets: 1, epoch: 3 },
    ...{ serving: ["A", "B"], default: "B", at: AT, leaseMs: 15_000, endpoints: 2, heldBack: 0, problems: [] },
  };
  const member = toMember({
    ...{ service, stage: "prod", host: "h1", slot: "a", version: "A", sha256: SHA, epoch: 3 },
    ...{ address: { host: "10.0.0.1", port: 8000 }, capacity: 1, workers: 1, status: "ALIVE" },
  });
  await put(buckets.hosts, keys.host(service, "h1"), hostStatus(service, "h1", { slots }));
  await put(buckets.orders, keys.order(service, "h1", "a"), order);
  await put(buckets.edges, keys.edge(service, "e1"), edge);
  await put(buckets.serversets, keys.member(service, "prod", "h1", "a"), member);
  await put(buckets.deploys, keys.deploy(service), { service, epoch: 3, lock: null, deploy: null, revisions: [] });
}

async function put(bucket: BucketName, key: string, value: unknown): Promise<number> {
  return (await open(bucket)).put(key, JSON.stringify(value));
}
