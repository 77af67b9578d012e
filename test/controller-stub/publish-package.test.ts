import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, afterEach, before, describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { create } from "tar";
import { openReleases } from "../../bus/buckets.ts";
import type { BusSession } from "../../bus/session.ts";
import { publishRelease } from "../../controller-stub/publish/releases.ts";
import { parseObjectUrl, type Release, releaseSchema } from "../../protocol/release.ts";
import { slotctl } from "../agent/cli/support/slotctl.ts";
import { ballast, fill, type PackEnd, pack } from "../agent/pack/support.ts";
import { install, openStore, quietly } from "../agent/releases/support/installing.ts";
import { type NatsServer, startNats } from "../support/nats/server.ts";
import { endAll, run } from "./cli.ts";
import { connectTo, orderFor } from "./fake-host.ts";
import { type PutServer, startPutServer } from "./put-server.ts";

let nats: NatsServer;
let bus: BusSession;
let directory: string;
let one: PackEnd;
let two: PackEnd;
let key: { file: string; publicKey: string };
const servers: PutServer[] = [];
const ends: (() => unknown)[] = [];
/** What is started for all of the tests ends with the last of them. */
const context = { after: (end: () => unknown) => ends.push(end) } as unknown as TestContext;

describe("slotd-controller publish with a package", () => {
  before(async () => {
    nats = await startNats();
    bus = await connectTo(nats.url);
    directory = await mkdtemp(join(tmpdir(), "slotd-package-"));
    key = await ended(slotctlJson("keygen", join(directory, "key")));
    const app = join(directory, "app");
    const common = [app, "--name", "web", "--to", join(directory, "packed"), "--format", "gz", "--format", "zst"];
    await fill(app, { ballast, a: "1" });
    one = await pack(context, [...common, "--version", "1", "--sign", key.file]);
    await fill(app, { a: "2" });
    two = await pack(context, [...common, "--version", "2", "--base", one.path, "--sign", key.file]);
  });
  afterEach(async () => {
    await endAll();
    await Promise.all(servers.splice(0).map((server) => server.close()));
  });
  after(async () => {
    for (const end of ends) await end();
    await bus?.close();
    await nats?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  async function putServer(options?: Parameters<typeof startPutServer>[0]): Promise<PutServer> {
    const server = await startPutServer(options);
    servers.push(server);
    return server;
  }

  /** Publishes, which must succeed. */
  async function publish(service: string, version: string, file: string, ...more: string[]) {
    const ended = await run(nats.url, "publish", service, version, file, "--json", "--any-name", ...more);
    assert.equal(ended.code, 0, ended.stderr);
    const { already, service: _, ...release } = ended.json();
    return { already: already as boolean, release: releaseSchema.parse(release) };
  }

  async function refused(code: string, ...args: string[]): Promise<string> {
    const ended = await run(nats.url, "publish", ...args, "--json", "--any-name");
    assert.notEqual(ended.code, 0);
    assert.equal(ended.json().error.code, code, ended.stderr);
    return ended.json().error.message;
  }

  /** What a release says of its archives, without where they are. */
  function content({ sha256, sizeBytes, tree, deltas = [], digests, signatures }: Release) {
    return { sha256, sizeBytes, tree, digests, signatures, deltas: deltas.map((delta) => [delta.base, delta.sha256]) };
  }

  it("a package on the bus is ordered with its tree, deltas, digests and signatures", async () => {
    await publish("web", "1", one.path);
    const { already, release } = await publish("web", "2", two.path);
    assert.equal(already, false);
    const [gz] = two.description.archives;
    assert.deepEqual(content(release), {
      sha256: gz?.sha256,
      sizeBytes: gz?.sizeBytes,
      tree: two.description.tree,
      digests: [...two.description.archives, ...two.description.deltas].map(({ sha256 }) => sha256),
      signatures: two.description.signatures,
      deltas: [[one.description.tree, two.description.deltas[0]?.sha256]],
    });
    assert.deepEqual(await publish("web", "2", two.path), { already: true, release });
    const ordered = await run(nats.url, "install", "web", "2", "--slot", "a", "--host", "h1", "--unseen");
    assert.equal(ordered.code, 0, ordered.stderr);
    const order = await orderFor(bus, "web", "h1", "a");
    assert.ok(order.action === "install");
    assert.deepEqual(order.release, release);

    // An agent that trusts the key fetches the delta from the bus, and has the tree.
    const objects = { read: (_: string, name: string) => objectOf(name) };
    const store = await openStore(await mkdtemp(join(directory, "state-")), { trustedKeys: [key.publicKey] }, objects);
    await install(store, (await publish("web", "1", one.path)).release);
    const fetched = await store.fetch(release, quietly());
    assert.equal(fetched.base?.version, "1");
    assert.equal((await store.unpack(fetched, quietly())).treeDigest, two.description.tree);
  });

  it("--format chooses the archive that is ordered, with the deltas of that format", async () => {
    const { release } = await publish("formats", "2", two.path, "--format", "zst");
    assert.equal(release.sha256, two.description.archives[1]?.sha256);
    assert.match(parseObjectUrl(release.url).name, /\.tar\.zst$/);
    assert.deepEqual(
      release.deltas?.map(({ sha256 }) => sha256),
      [two.description.deltas[1]?.sha256],
    );
  });

  it("a package of another name is refused, unless that is meant", async () => {
    for (const to of ["nats", join(directory, "named")]) {
      const args = ["publish", "api", "1", one.path, "--to", to, "--json"];
      const wrong = await run(nats.url, ...args);
      assert.equal(wrong.code, 2, wrong.stderr);
      assert.match(wrong.json().error.message, /<file> is of web, not of api; --any-name/);
      assert.equal((await run(nats.url, ...args, "--any-name")).code, 0);
    }
  });

  it("a version never changes: not by another package, not by another archive, on no target", async () => {
    const other = await otherTree("1");
    const plain = join(directory, "plain.tar.gz");
    await create({ file: plain, gzip: true, cwd: dirname(one.path) }, ["web-1.release.json"]);
    const server = await putServer();
    for (const [i, to] of ["nats", join(directory, "never"), `${server.origin}/base`].entries()) {
      const service = `never-${i}`;
      const { release } = await publish(service, "1", one.path, "--to", to);
      await refused("DIGEST_MISMATCH", service, "1", other.path, "--to", to);
      await refused("DIGEST_MISMATCH", service, "1", plain, "--to", to);
      assert.deepEqual(await publish(service, "1", one.path, "--to", to), { already: true, release });
      await publish(service, "0", plain, "--to", to);
      await refused("DIGEST_MISMATCH", service, "0", (await otherTree("0")).path, "--to", to);
      assert.equal((await publish(service, "0", plain, "--to", to)).already, true);
    }
  });

  it("a signature that is added later is published, and those that were there stay", async () => {
    const late = await copyOf(one);
    await publish("late", "1", late);
    const second = await ended(slotctlJson("keygen", join(dirname(late), "second")));
    const text = await readFile(late, "utf8");
    await writeFile(late, JSON.stringify({ ...JSON.parse(text), signatures: [] }));
    await ended(slotctlJson("sign", late, "--key", second.file));
    const { already, release } = await publish("late", "1", late);
    assert.equal(already, false);
    const keys = [one.description.signatures[0]?.key, second.id].sort();
    assert.deepEqual(
      release.signatures?.map((each) => each.key),
      keys,
    );
  });

  it("a directory holds all files whole, and a host installs from there and from a mirror's address", async () => {
    const to = join(directory, "new/releases");
    const { release } = await publish(
      "web",
      "2",
      two.path,
      "--to",
      `file://${to}`,
      "--mirror",
      "https://m.example.com/x",
    );
    assert.deepEqual(release.mirrors, ["https://m.example.com/x/web/2/web-2.tar.gz"]);
    assert.deepEqual(release.deltas?.[0]?.mirrors, ["https://m.example.com/x/web/2/web-2-from-1.tar.gz"]);
    assert.deepEqual(await readdir(join(to, "web")), ["2", "2.json"]);
    assert.equal((await readdir(join(to, "web/2"))).length, 5);
    assert.equal((await readFile(fileURLToPath(release.url))).length, release.sizeBytes);
    const store = await openStore(await mkdtemp(join(directory, "state-")), { trustedKeys: [key.publicKey] });
    assert.equal((await install(store, release)).treeDigest, two.description.tree);

    const file = join(directory, "published.json");
    const printed = await run(nats.url, "publish", "web", "2", two.path, "--to", to, "--json");
    await writeFile(file, printed.stdout);
    const place = ["--slot", "b", "--host", "h2"];
    const installAs = (version: string) =>
      run(nats.url, "install", "web", version, ...place, "--unseen", "--release", file);
    const ordered = await installAs("2");
    assert.equal(ordered.code, 0, ordered.stderr);
    const order = await orderFor(bus, "web", "h2", "b");
    assert.ok(order.action === "install");
    assert.deepEqual(order.release, release);
    const wrong = await installAs("3");
    assert.equal(wrong.code, 2);
  });

  it("an HTTP server gets every file once, with the headers of a file, and a host installs from there", async () => {
    const server = await putServer({ authorization: "Bearer secret" });
    const to = `${server.origin}/base`;
    const headers = join(directory, "headers");
    await writeFile(headers, "# for uploads\nAuthorization: Bearer secret\n");
    const denied = await refused("PUBLISH_FAILED", "web", "2", two.path, "--to", to);
    assert.match(denied, /status 401/);
    assert.equal(server.files.size, 0);
    const more = ["--to", to, "--headers-file", headers];
    const { release } = await publish("web", "2", two.path, ...more);
    assert.equal(server.files.size, 6);
    assert.equal(release.url, `${to}/web/2/web-2.tar.gz`);
    const puts = server.puts;
    assert.deepEqual(await publish("web", "2", two.path, ...more), { already: true, release });
    assert.equal(server.puts, puts);
    server.open();
    const store = await openStore(await mkdtemp(join(directory, "state-")), { trustedKeys: [key.publicKey] });
    assert.equal((await install(store, release)).treeDigest, two.description.tree);
  });

  it("what is put on an HTTP server in the meantime is compared, and not overwritten", async () => {
    for (const [content, code] of [
      ["same", null],
      ["other", "DIGEST_MISMATCH"],
    ] as const) {
      const server = await putServer();
      const bytes = await readFile(join(dirname(one.path), "web-1.tar.gz"));
      server.beforePut((path, files) => {
        if (path.endsWith(".tar.gz")) files.set(path, content === "same" ? bytes : Buffer.from("other"));
      });
      if (code === null) await publish("race", "1", one.path, "--to", server.origin);
      else {
        await refused(code, "race", "1", one.path, "--to", server.origin);
        assert.equal(
          [...server.files.keys()].some((path) => path.endsWith("/1.json")),
          false,
        );
      }
    }
  });

  it("two publishers of one version at the same time: one tree wins, on the bus and in a directory", async () => {
    const other = await otherTree("1");
    for (const to of ["nats", join(directory, "two")]) {
      const files = [one.path, other.path];
      const ends = await Promise.all(
        files.map((file) => run(nats.url, "publish", "both", "1", file, "--to", to, "--json", "--any-name")),
      );
      assert.deepEqual(ends.map(({ code }) => code).sort(), [0, 1], ends.map(({ stderr }) => stderr).join());
      const winner = ends.findIndex(({ code }) => code === 0);
      assert.equal((await publish("both", "1", files[winner] as string, "--to", to)).already, true);
    }
  });

  it("a package with a changed or missing file, of another version, or without the format is refused before anything is sent", async () => {
    const to = join(directory, "unsent");
    const changed = await copyOf(one);
    await appendFile(join(dirname(changed), "web-1.tar.zst"), "x");
    assert.match(await refused("PACKAGE_INVALID", "web", "1", changed, "--to", to), /web-1\.tar\.zst: has sha256/);
    await rm(join(dirname(changed), "web-1.tar.gz"));
    await refused("USAGE", "web", "1", changed, "--to", to);
    await refused("USAGE", "web", "3", one.path, "--to", to);
    await refused("USAGE", "web", "1", one.path, "--to", "ftp://x/");
    await refused("USAGE", "web", "1", join(dirname(one.path), "web-1.tar.gz"), "--to", to, "--format", "gz");
    assert.equal(existsSync(to), false);
    const plain = await publishRelease(bus, {
      service: "plain",
      version: "1",
      file: join(dirname(one.path), "web-1.tar.gz"),
    });
    assert.equal((await publish("plain", "1", one.path)).release.sha256, plain.sha256);
  });
});

/** A package of the same name and version as the first, with another tree. */
async function otherTree(version: string): Promise<PackEnd> {
  const dir = await mkdtemp(join(directory, "other-"));
  await fill(join(dir, "app"), { other: "tree" });
  const description = await ended(
    slotctlJson("pack", join(dir, "app"), "--name", "web", "--version", version, "--to", dir),
  );
  return { path: description.description } as PackEnd;
}

async function copyOf({ path }: PackEnd): Promise<string> {
  const dir = await mkdtemp(join(directory, "copy-"));
  const names = (await readdir(dirname(path))).filter((name) => name.startsWith("web-1."));
  for (const name of names) await writeFile(join(dir, name), await readFile(join(dirname(path), name)));
  return join(dir, "web-1.release.json");
}

function slotctlJson(...args: string[]) {
  return slotctl(context, [...args, "--json"]);
}

async function ended(running: ReturnType<typeof slotctlJson>) {
  const { exitCode, stdout, stderr } = await running;
  assert.equal(exitCode, 0, stderr);
  return JSON.parse(stdout);
}

async function objectOf(name: string): Promise<ReadableStream<Uint8Array> | null> {
  const bytes = await (await openReleases(bus)).getBlob(name);
  return bytes && (new Blob([bytes as Uint8Array<ArrayBuffer>]).stream() as ReadableStream<Uint8Array>);
}
