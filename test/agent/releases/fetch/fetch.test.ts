import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { ObjectSource } from "../../../../agent/releases/fetch/opened.ts";
import type { Progress, ReleaseBounds } from "../../../../agent/releases/store/store.ts";
import { objectUrl } from "../../../../protocol/release.ts";
import { type ArchiveServer, serve } from "../support/archive-server.ts";
import { failsWith, install, openStore, quietly, releaseInFile, releaseOf } from "../support/installing.ts";
import { namesIn, useScratch } from "../support/scratch.ts";
import { appTar } from "../support/tar-builder.ts";

const scratch = useScratch();
const archive = appTar();
const big = randomBytes(1024 ** 2);

async function serving(answer: Parameters<typeof serve>[0]): Promise<ArchiveServer> {
  const server = await serve(answer);
  scratch.ends.push(() => server.close());
  return server;
}

/** Sends the first half, and leaves the rest to the caller. */
function sendHalf(response: ServerResponse, bytes: Buffer): void {
  response.writeHead(200, { "content-length": bytes.length });
  response.write(bytes.subarray(0, bytes.length / 2));
}

async function storeWithin(over: Partial<ReleaseBounds> = {}, objects?: ObjectSource) {
  const store = await openStore(scratch.dir, over, objects);
  return { store, names: () => namesIn(store.dir) };
}

describe("a release is installed", () => {
  it("from a file", async () => {
    const { store, names } = await storeWithin();
    const installed = await install(store, await releaseInFile(scratch.dir, "v1", archive));
    assert.equal(await readFile(join(installed.tree, "public/index.html"), "utf8"), "hello");
    assert.deepEqual(await names(), ["v1"]);
  });

  it("from an HTTP server, with progress up to its size", async () => {
    const { store, names } = await storeWithin();
    const server = await serving((response) => response.end(big));
    const release = releaseOf("v1", big, `${server.origin}/v1.tar.gz`);
    const seen: Progress[] = [];
    const fetched = await store.fetch(release, { ...quietly(), onProgress: (progress) => seen.push(progress) });
    assert.deepEqual(await readFile(join(fetched.dir, "archive")), big);
    assert.deepEqual(seen[0], { done: 0, total: big.length });
    assert.deepEqual(seen.at(-1), { done: big.length, total: big.length });
    assert.ok(seen.every((progress, i) => i === 0 || progress.done >= (seen[i - 1]?.done ?? 0)));
    assert.equal((await names()).length, 1);
  });

  it("from behind a redirect", async () => {
    const { store } = await storeWithin();
    const server = await serving((response, attempt) => {
      if (attempt === 1) response.writeHead(302, { location: "/elsewhere" }).end();
      else response.end(archive);
    });
    await install(store, releaseOf("v1", archive, `${server.origin}/v1.tar.gz`));
  });

  it("with the user and password of its address", async () => {
    const { store } = await storeWithin();
    const server = await serving((response, _attempt, request) => {
      const expected = `Basic ${Buffer.from("ann:s3:cret@").toString("base64")}`;
      if (request.headers.authorization === expected) response.end(archive);
      else response.writeHead(401).end();
    });
    const url = `${server.origin.replace("//", "//ann:s3%3Acret%40@")}/v1`;
    await install(store, releaseOf("v1", archive, url));
  });

  it("from the object store", async () => {
    const asked: string[][] = [];
    const { store } = await storeWithin(
      {},
      {
        async read(bucket, name) {
          asked.push([bucket, name]);
          return new Blob([archive]).stream() as ReadableStream<Uint8Array>;
        },
      },
    );
    await install(store, releaseOf("v1", archive, objectUrl("web/v1.tar.gz", "releases")));
    assert.deepEqual(asked, [["releases", "web/v1.tar.gz"]]);
  });

  it("although the bus was away at first", async () => {
    let reads = 0;
    const { store } = await storeWithin(
      {},
      {
        async read() {
          if (++reads === 1) throw new Error("no responders");
          return new Blob([archive]).stream() as ReadableStream<Uint8Array>;
        },
      },
    );
    await install(store, releaseOf("v1", archive, objectUrl("v1")));
    assert.equal(reads, 2);
  });

  it("although the server broke off once", async () => {
    const { store, names } = await storeWithin();
    const server = await serving((response, attempt) => {
      if (attempt > 1) return response.end(archive);
      sendHalf(response, archive);
      return response.socket?.end();
    });
    await install(store, releaseOf("v1", archive, server.origin));
    assert.equal(server.requests.length, 2);
    assert.deepEqual(await names(), ["v1"]);
  });

  it("although the server was overloaded once", async () => {
    const { store } = await storeWithin();
    const server = await serving((response, attempt) => {
      if (attempt > 1) response.end(archive);
      else response.writeHead(503).end("busy");
    });
    await install(store, releaseOf("v1", archive, server.origin));
  });
});

describe("a fetch fails, at once, and leaves nothing", () => {
  it("when there is no such file", async () => {
    const { store, names } = await storeWithin();
    await failsWith(store.fetch(releaseOf("v1", archive, "file:///no/such/file"), quietly()), "RELEASE_NOT_FOUND");
    assert.deepEqual(await names(), []);
  });

  it("when the address is a directory", async () => {
    const { store, names } = await storeWithin();
    await failsWith(store.fetch(releaseOf("v1", archive, "file:///tmp"), quietly()), "RELEASE_UNREACHABLE");
    assert.deepEqual(await names(), []);
  });

  it("when there is no such object", async () => {
    const { store, names } = await storeWithin();
    await failsWith(store.fetch(releaseOf("v1", archive, objectUrl("v1")), quietly()), "RELEASE_NOT_FOUND");
    assert.deepEqual(await names(), []);
  });

  for (const status of [404, 410]) {
    it(`when the server answers ${status}`, async () => {
      const { store, names } = await storeWithin();
      const server = await serving((response) => response.writeHead(status).end("gone"));
      const error = await failsWith(
        store.fetch(releaseOf("v1", archive, server.origin), quietly()),
        "RELEASE_NOT_FOUND",
      );
      assert.match(error.message, new RegExp(`status ${status}`));
      assert.equal(server.requests.length, 1);
      assert.deepEqual(await names(), []);
    });
  }

  it("when the digest is another", async () => {
    const { store, names } = await storeWithin();
    const server = await serving((response) => response.end(archive));
    const release = { ...releaseOf("v1", archive, server.origin), sha256: "0".repeat(64) };
    await failsWith(store.fetch(release, quietly()), "DIGEST_MISMATCH");
    assert.equal(server.requests.length, 1);
    assert.deepEqual(await names(), []);
  });

  it("when a bit was flipped on the way", async () => {
    const { store, names } = await storeWithin();
    const flipped = Buffer.from(archive);
    flipped[100] = (flipped[100] ?? 0) ^ 1;
    const server = await serving((response) => response.end(flipped));
    await failsWith(store.fetch(releaseOf("v1", archive, server.origin), quietly()), "DIGEST_MISMATCH");
    assert.deepEqual(await names(), []);
  });

  for (const [what, bytes] of [
    ["shorter", archive.subarray(0, -1)],
    ["longer", Buffer.concat([archive, Buffer.of(0)])],
  ] as const) {
    for (const announced of [true, false]) {
      it(`when it is ${what} than ordered, and the server ${announced ? "says so" : "does not say so"}`, async () => {
        const { store, names } = await storeWithin();
        const server = await serving((response) => {
          if (announced) response.setHeader("content-length", bytes.length);
          response.write(bytes);
          response.end();
        });
        const error = await failsWith(store.fetch(releaseOf("v1", archive, server.origin), quietly()), "SIZE_MISMATCH");
        assert.match(error.message, new RegExp(`has ${bytes.length} bytes`));
        assert.equal(server.requests.length, 1);
        assert.deepEqual(await names(), []);
      });
    }
  }

  it("when a server sends without end, after as many bytes as were ordered", async () => {
    const { store, names } = await storeWithin();
    const server = await serving((response) => {
      const more = () => {
        while (response.write(Buffer.alloc(64 * 1024)));
      };
      response.on("drain", more);
      more();
    });
    await failsWith(store.fetch(releaseOf("v1", archive, server.origin), quietly()), "SIZE_MISMATCH");
    assert.deepEqual(await names(), []);
  });

  it("when it is over the bound, without asking for it", async () => {
    const { store, names } = await storeWithin({ maxArchiveBytes: archive.length - 1 });
    const server = await serving((response) => response.end(archive));
    const error = await failsWith(store.fetch(releaseOf("v1", archive, server.origin), quietly()), "RELEASE_TOO_LARGE");
    assert.match(error.message, /max_archive_bytes/);
    assert.equal(server.requests.length, 0);
    assert.deepEqual(await names(), []);
  });

  it("when the server encodes it for the way", async () => {
    const { store } = await storeWithin();
    const server = await serving((response) => response.writeHead(200, { "content-encoding": "gzip" }).end(archive));
    const error = await failsWith(
      store.fetch(releaseOf("v1", archive, server.origin), quietly()),
      "RELEASE_UNREACHABLE",
    );
    assert.match(error.message, /content-encoding gzip/);
  });

  it("when the version is installed with another digest", async () => {
    const { store, names } = await storeWithin();
    await install(store, await releaseInFile(scratch.dir, "v1", archive));
    const error = await failsWith(
      store.fetch(await releaseInFile(scratch.dir, "v1", appTar("other")), quietly()),
      "DIGEST_MISMATCH",
    );
    assert.match(error.message, /the installed release/);
    assert.deepEqual(await names(), ["v1"]);
  });
});

describe("a fetch fails after all its attempts, and leaves nothing", () => {
  it("when the server stalls", async () => {
    const { store, names } = await storeWithin({ stallTimeoutMs: 50, fetchAttempts: 2 });
    const server = await serving((response) => sendHalf(response, big));
    const error = await failsWith(store.fetch(releaseOf("v1", big, server.origin), quietly()), "RELEASE_UNREACHABLE");
    assert.match(error.message, /nothing came for 50 ms, the last of 2 attempts/);
    assert.equal(server.requests.length, 2);
    assert.deepEqual(await names(), []);
  });

  it("when the server never answers", async () => {
    const { store, names } = await storeWithin({ stallTimeoutMs: 50, fetchAttempts: 1 });
    const closed: Promise<unknown>[] = [];
    const server = await serving((response) => closed.push(once(response, "close")));
    await failsWith(store.fetch(releaseOf("v1", big, server.origin), quietly()), "RELEASE_UNREACHABLE");
    assert.equal(closed.length, 1);
    await Promise.all(closed); // the connection was not left behind
    assert.deepEqual(await names(), []);
  });

  it("when the server breaks off each time", async () => {
    const { store, names } = await storeWithin({ fetchAttempts: 3 });
    const server = await serving((response) => {
      sendHalf(response, big);
      response.socket?.end();
    });
    await failsWith(store.fetch(releaseOf("v1", big, server.origin), quietly()), "RELEASE_UNREACHABLE");
    assert.equal(server.requests.length, 3);
    assert.deepEqual(await names(), []);
  });

  it("when nobody listens, and says why", async () => {
    const { store } = await storeWithin({ fetchAttempts: 2 });
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    taken.close();
    await once(taken, "close");
    const release = releaseOf("v1", archive, `http://127.0.0.1:${port}/v1`);
    const error = await failsWith(store.fetch(release, quietly()), "RELEASE_UNREACHABLE");
    assert.match(error.message, /ECONNREFUSED/);
  });

  it("when the bus is away", async () => {
    const { store, names } = await storeWithin(
      { fetchAttempts: 2 },
      { read: () => Promise.reject(new Error("no responders")) },
    );
    const error = await failsWith(
      store.fetch(releaseOf("v1", archive, objectUrl("v1")), quietly()),
      "RELEASE_UNREACHABLE",
    );
    assert.match(error.message, /no responders/);
    assert.deepEqual(await names(), []);
  });
});

describe("the secrets of an address", () => {
  it("no message tells a password or a signature of an address", async () => {
    const { store } = await storeWithin({ fetchAttempts: 1 });
    const server = await serving((response, attempt) => response.writeHead(attempt === 1 ? 404 : 500).end());
    const url = `${server.origin.replace("//", "//ann:s3cret@x@")}/v1?X-Signature=s1gned`;
    for (const code of ["RELEASE_NOT_FOUND", "RELEASE_UNREACHABLE"] as const) {
      const error = await failsWith(store.fetch(releaseOf("v1", archive, url), quietly()), code);
      const told = `${JSON.stringify(error.toWire())} ${error.stack} ${error.cause}`;
      assert.doesNotMatch(told, /s3cret|s1gned|@x/);
      assert.match(told, /\*\*\*@127\.0\.0\.1/);
    }
  });
});

describe("an abort ends a fetch with its reason, and leaves nothing", () => {
  const reason = new Error("superseded");

  it("before it begins", async () => {
    const { store, names } = await storeWithin();
    const server = await serving((response) => response.end(archive));
    const fetching = store.fetch(releaseOf("v1", archive, server.origin), quietly(AbortSignal.abort(reason)));
    await assert.rejects(fetching, (error) => error === reason);
    assert.equal(server.requests.length, 0);
    assert.deepEqual(await names(), []);
  });

  it("in the middle, closing the connection", async () => {
    const { store, names } = await storeWithin();
    const closed: Promise<unknown>[] = [];
    const server = await serving((response) => {
      closed.push(once(response, "close"));
      sendHalf(response, big);
    });
    const abort = new AbortController();
    const fetching = store.fetch(releaseOf("v1", big, server.origin), {
      signal: abort.signal,
      onProgress: ({ done }) => done > 0 && abort.abort(reason),
    });
    await assert.rejects(fetching, (error) => error === reason);
    await Promise.all(closed);
    assert.equal(server.requests.length, 1);
    assert.deepEqual(await names(), []);
  });

  it("in the middle of an object that hangs", async () => {
    const abort = new AbortController();
    const hanging = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => {}) });
    const { store, names } = await storeWithin(
      {},
      {
        async read() {
          setImmediate(() => abort.abort(reason));
          return hanging;
        },
      },
    );
    await assert.rejects(
      store.fetch(releaseOf("v1", archive, objectUrl("v1")), quietly(abort.signal)),
      (error) => error === reason,
    );
    assert.deepEqual(await names(), []);
  });

  it("in the pause between two attempts", async () => {
    const { store, names } = await storeWithin({ fetchAttempts: 20 });
    const abort = new AbortController();
    const server = await serving((response, attempt) => {
      response.writeHead(503).end();
      if (attempt === 2) response.on("close", () => setImmediate(() => abort.abort(reason)));
    });
    const fetching = store.fetch(releaseOf("v1", archive, server.origin), quietly(abort.signal));
    await assert.rejects(fetching, (error) => error === reason);
    assert.equal(server.requests.length, 2);
    assert.deepEqual(await names(), []);
  });
});
