import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { create } from "tar";
import { openBucket, openReleases } from "../../bus/buckets.ts";
import type { BusSession } from "../../bus/session.ts";
import { EndedBySignalError } from "../../controller-stub/errors.ts";
import { findRelease, publishRelease } from "../../controller-stub/publish/releases.ts";
import type { SlotStatus } from "../../protocol/host-status.ts";
import { parseObjectUrl, releaseSchema } from "../../protocol/release.ts";
import { buckets } from "../../protocol/subjects.ts";
import { type NatsServer, startNats } from "../support/nats/server.ts";
import { endAll, run } from "./cli.ts";
import { connectTo, hostStatus, report, slotStatus } from "./fake-host.ts";

let nats: NatsServer;
let bus: BusSession;
let directory: string;

describe("slotd-controller publish", () => {
  before(async () => {
    nats = await startNats();
    bus = await connectTo(nats.url);
    directory = await mkdtemp(join(tmpdir(), "slotd-publish-"));
  });
  afterEach(endAll);
  after(async () => {
    await bus?.close();
    await nats?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  it("publish stores the archive with its digest, says where it is, and does so only once", async () => {
    const { file, bytes, sha256 } = await archive("once", 300_000);
    const first = await run(nats.url, "publish", "web", "1.0+b", file, "--json");
    assert.equal(first.code, 0, first.stderr);
    const { already, service, ...release } = first.json();
    assert.deepEqual([already, service, release.sha256, release.sizeBytes], [false, "web", sha256, bytes.length]);
    releaseSchema.parse(release);

    const store = await openReleases(bus);
    const { name } = parseObjectUrl(release.url);
    assert.deepEqual(Buffer.from((await store.getBlob(name)) ?? []), bytes);
    const info = await store.info(name);
    assert.equal(info?.metadata?.sha256, sha256);

    const again = await run(nats.url, "publish", "web", "1.0+b", file);
    assert.equal(again.code, 0);
    assert.match(again.stdout, /already published/);
    assert.equal((await store.info(name))?.revision, info?.revision);
    assert.deepEqual(await findRelease(bus, "web", "1.0+b"), release);
  });

  it("publish refuses other content under a version that is there, and leaves that as it is", async () => {
    const one = await archive("one", 1000);
    const other = await archive("other", 1000);
    assert.equal((await run(nats.url, "publish", "web", "2.0", one.file)).code, 0);
    const refused = await run(nats.url, "publish", "web", "2.0", other.file, "--json");
    assert.equal(refused.code, 1);
    assert.equal(refused.json().error.code, "DIGEST_MISMATCH");
    assert.match(refused.stderr, /^error DIGEST_MISMATCH: .*new version/m);
    assert.equal((await findRelease(bus, "web", "2.0")).sha256, one.sha256);
  });

  it("two publishers of one version at the same time: one content wins, and the other publisher gets an error", async () => {
    const archives = await Promise.all(["x", "y"].map((name) => archive(name, 400_000)));
    const published = await Promise.allSettled(
      archives.map(({ file }) => publishRelease(bus, { service: "web", version: "3.0", file })),
    );
    assert.deepEqual(published.map((result) => result.status).sort(), ["fulfilled", "rejected"]);
    const winner = archives[published.findIndex((result) => result.status === "fulfilled")];
    const loser = published.find((result) => result.status === "rejected");
    assert.equal(loser?.reason.code, "DIGEST_MISMATCH");
    assert.equal((await findRelease(bus, "web", "3.0")).sha256, winner?.sha256);
    const store = await openReleases(bus);
    assert.equal((await store.getBlob("web/3.0.tar.gz"))?.length, winner?.bytes.length);
  });

  it("an archive that is deleted from the store can be published again", async () => {
    const { file, sha256 } = await archive("deleted", 1000);
    const what = { service: "web", version: "4.0", file };
    await publishRelease(bus, what);
    await (await openReleases(bus)).delete("web/4.0.tar.gz");
    await assert.rejects(findRelease(bus, "web", "4.0"), { code: "RELEASE_NOT_FOUND" });
    assert.equal((await publishRelease(bus, what)).already, false);
    assert.equal((await findRelease(bus, "web", "4.0")).sha256, sha256);
  });

  it("an archive that changes while it is published is not stored, nor is an empty one", async () => {
    const { file } = await archive("changing", 900_000);
    let changed = false;
    const changeItsEnd = () => {
      if (changed) return;
      changed = true;
      const fd = openSync(file, "r+");
      writeSync(fd, randomBytes(100), 0, 100, 890_000);
      closeSync(fd);
    };
    const what = { service: "web", version: "5.0", file };
    await assert.rejects(publishRelease(bus, what, changeItsEnd), { code: "USAGE", message: /was changed/ });
    await assert.rejects(findRelease(bus, "web", "5.0"), { code: "RELEASE_NOT_FOUND" });
    const { file: empty } = await archive("empty", 0);
    await assert.rejects(publishRelease(bus, { ...what, file: empty }), { message: /must not be empty/ });
  });

  it("an interrupted publish leaves no part of the archive in the store", async () => {
    const { file } = await archive("interrupted", 900_000);
    const interruption = new AbortController();
    const own = await connectTo(nats.url, { signal: interruption.signal });
    const store = await openReleases(bus);
    const { size } = await store.status();
    const publishing = publishRelease(own, { service: "web", version: "7.0", file }, (done) => {
      if (done > 500_000) interruption.abort(new EndedBySignalError("SIGINT", 130));
    });
    await assert.rejects(publishing, { code: "INTERRUPTED" });
    await own.close();
    assert.equal((await store.status()).size, size);
  });

  it("--replace frees the name of a version that no host had, and refuses any other", async () => {
    const [one, other] = [await archive("first", 500), await archive("second", 500)];
    const replace = (service: string) => run(nats.url, "publish", service, "1", other.file, "--replace", "--json");
    const id = "install-1";
    const order = { id, epoch: 1, action: "install", version: "1", outcome: "failed" } as const;
    const cases: [service: string, slot: Partial<SlotStatus>, isFree: boolean][] = [
      ["unused", {}, true],
      ["refused", { order }, true],
      ["held", { version: "1", state: "serving" }, false],
      ["pending", { order: { ...order, outcome: "pending" } }, false],
    ];
    for (const [service, slot, isFree] of cases) {
      assert.equal((await run(nats.url, "publish", service, "1", one.file)).code, 0);
      await report(bus, hostStatus(service, "h1", { slots: { a: slotStatus("a", slot) } }));
      const said = await replace(service);
      assert.equal(said.code, isFree ? 0 : 1, `${service}: ${said.stderr}`);
      if (!isFree) assert.equal(said.json().error.code, "VERSION_IN_USE");
      assert.equal((await findRelease(bus, service, "1")).sha256, isFree ? other.sha256 : one.sha256, service);
    }
    const routes = { epoch: 1, revision: 1, mode: "atomic", default: "1", serving: ["1"] };
    await (await openBucket(bus, buckets.routes)).put("unused", JSON.stringify(routes));
    assert.match((await replace("unused")).stderr, /can't be replaced: it is served/);
    const elsewhere = await run(nats.url, "publish", "x", "1", one.file, "--replace", "--to", directory);
    assert.match(elsewhere.stderr, /--replace is for releases on the bus/);
  });

  it("what no host could unpack is refused before it takes the version's name", async () => {
    const { file, bytes } = await archive("whole", 100_000);
    const tar = gunzipSync(bytes);
    const bad: Record<string, Buffer> = {
      "a text": Buffer.from("hello, this is no archive\n"),
      "a compressed text": gzipSync("hello"),
      "an archive that is cut off": bytes.subarray(0, bytes.length / 2),
      "an archive without its end": gzipSync(tar.subarray(0, tar.lastIndexOf(Buffer.alloc(512, 0)) - 1024)),
      "an entry that is cut off": tar.subarray(0, 10_240),
      "a broken header": Buffer.concat([tar.subarray(0, 100), Buffer.from("999"), tar.subarray(103)]),
      "garbage after the end": Buffer.concat([bytes, Buffer.from("more")]),
      "compressed twice": gzipSync(bytes),
      "an empty archive": gzipSync(Buffer.alloc(10_240)),
    };
    for (const [what, content] of Object.entries(bad)) {
      const path = join(directory, "bad.tar.gz");
      await writeFile(path, content);
      const refused = await run(nats.url, "publish", "web", "8.0", path, "--json");
      assert.equal(refused.code, 2, `${what}: ${refused.stdout}`);
      assert.match(refused.json().error.message, /^<file> must be an archive that can be read to its end/, what);
    }
    await assert.rejects(findRelease(bus, "web", "8.0"), { code: "RELEASE_NOT_FOUND" });
    assert.equal((await run(nats.url, "publish", "web", "8.0", file)).code, 0);
    const plain = join(directory, "plain.tar");
    await writeFile(plain, tar);
    assert.equal((await run(nats.url, "publish", "web", "8.1", plain)).code, 0);
    const zst = join(directory, "plain.tar.zst");
    execFileSync("zstd", ["-q", plain, "-o", zst]);
    assert.equal((await run(nats.url, "publish", "web", "8.2", zst)).code, 0);
    await writeFile(zst, (await readFile(zst)).subarray(0, 50_000));
    assert.equal((await run(nats.url, "publish", "web", "8.3", zst)).code, 2);
  });

  it("a service that nothing is known of is published with a warning, and the name that was meant", async () => {
    await report(bus, hostStatus("webshop", "h1"));
    const { file } = await archive("unknown", 100);
    assert.match(
      (await run(nats.url, "publish", "wbshop", "1", file)).stderr,
      /of wbshop is known yet; did you mean webshop\?/,
    );
    assert.equal((await run(nats.url, "publish", "webshop", "1", file)).stderr, "");
  });

  it("a file that is not there is wrong usage", async () => {
    const missing = await run(nats.url, "publish", "web", "6.0", join(directory, "nowhere"));
    assert.equal(missing.code, 2);
    assert.match(missing.stderr, /^error USAGE: <file> can't be read: ENOENT/);
  });
});

/** A real archive of a file of that many bytes; 0: an empty file. */
async function archive(name: string, size: number) {
  const file = join(directory, `${name}.tar.gz`);
  if (size === 0) await writeFile(file, "");
  else {
    await writeFile(join(directory, name), randomBytes(size));
    await create({ file, gzip: true, cwd: directory }, [name]);
  }
  const bytes = await readFile(file);
  return { file, bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
}
