import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { jetstream } from "@nats-io/jetstream";
import { Objm } from "@nats-io/obj";
import { connect } from "@nats-io/transport-node";
import type { ReleaseBounds } from "../../../../agent/releases/bounds.ts";
import { fetchArchive } from "../../../../agent/releases/fetch/fetch.ts";
import { objectSource } from "../../../../agent/releases/fetch/object-source.ts";
import type { ObjectSource } from "../../../../agent/releases/fetch/opened.ts";
import { type Archive, objectUrl } from "../../../../protocol/release.ts";
import { type NatsServer, startNats } from "../../../support/nats/server.ts";
import { PATIENCE_MS, until } from "../../../support/until.ts";
import { type ArchiveServer, sendFile, serve } from "../support/archive-server.ts";
import { bounds, failsWith, noObjects, quietly, releaseInFile, releaseOf } from "../support/installing.ts";
import { useScratch } from "../support/scratch.ts";

const CHILD = fileURLToPath(new URL("../support/fetch-child.js", import.meta.url));
const MIB = 1024 ** 2;
const scratch = useScratch();
const run = promisify(execFile);

async function serving(answer: Parameters<typeof serve>[0]): Promise<ArchiveServer> {
  const server = await serve(answer);
  scratch.ends.push(() => server.close());
  return server;
}

/** A real bus with one object. */
async function storing(bytes: Buffer): Promise<{ nats: NatsServer; objects: ObjectSource; release: Archive }> {
  const nats = await startNats();
  scratch.ends.push(() => nats.stop());
  const nc = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 50, reconnectJitter: 10 });
  scratch.ends.push(() => nc.close());
  const store = await new Objm(nc).create("releases");
  await store.putBlob({ name: "web/v1" }, bytes);
  const objects = objectSource({ whenUp: async () => {}, jetstream: jetstream(nc, { timeout: 1_000 }) });
  return { nats, objects, release: releaseOf("v1", bytes, objectUrl("web/v1", "releases")) };
}

const path = () => join(scratch.dir, "archive");

interface Moment {
  atMs: number;
  done: number;
}

async function timed(release: Archive, within: ReleaseBounds, objects = noObjects): Promise<Moment[]> {
  const seen: Moment[] = [];
  const onProgress = ({ done }: { done: number }) => seen.push({ atMs: performance.now(), done });
  await fetchArchive(release, `${path()}${Math.random()}`, within, objects, { ...quietly(), onProgress });
  return seen;
}

describe("a rate limit holds, and is smooth,", () => {
  const bytes = randomBytes(MIB);
  const perS = 2 * MIB;

  function assertPaced(seen: Moment[]): void {
    const [first, last] = [seen[0], seen.at(-1)] as [Moment, Moment];
    assert.equal(last.done, bytes.length);
    const tookMs = last.atMs - first.atMs;
    assert.ok(tookMs > 400 && tookMs < 10_000, `took ${tookMs} ms`);
    for (const from of seen) {
      const after = seen.filter(({ atMs }) => atMs >= from.atMs && atMs <= from.atMs + 100).at(-1) as Moment;
      assert.ok(after.done - from.done <= 0.21 * perS, `${after.done - from.done} bytes in 100 ms`);
    }
  }

  const limited = () => ({ ...bounds, fetchBytesPerS: perS });

  it("for a server", async () => {
    const server = await serving((response, _attempt, request) => sendFile(request, response, bytes));
    assertPaced(await timed(releaseOf("v1", bytes, server.origin), limited()));
  });

  it("for a file", async () => {
    assertPaced(await timed(await releaseInFile(scratch.dir, "v1", bytes), limited()));
  });

  it("for an object of the bus", async () => {
    const { objects, release } = await storing(bytes);
    assertPaced(await timed(release, limited(), objects));
  });

  it("for two fetches together", async () => {
    const release = await releaseInFile(scratch.dir, "v1", bytes);
    const within = limited();
    const begun = performance.now();
    await Promise.all([timed(release, within), timed(release, within)]);
    const tookMs = performance.now() - begun;
    assert.ok(tookMs > 850, `took ${tookMs} ms`);
  });

  it("and does not count as a stall", async () => {
    const release = await releaseInFile(scratch.dir, "v1", bytes.subarray(0, 64 * 1024));
    await timed(release, { ...bounds, fetchBytesPerS: 128 * 1024, stallTimeoutMs: 100, fetchAttempts: 1 });
  });
});

describe("a fetch needs not much memory, however large the archive is,", () => {
  const grown = async (release: Archive, within: ReleaseBounds, bus?: string) => {
    const args = [CHILD, path(), JSON.stringify(release), JSON.stringify(within), ...(bus === undefined ? [] : [bus])];
    const { stdout } = await run(process.execPath, args, { timeout: PATIENCE_MS });
    return (JSON.parse(stdout) as { grownBytes: number }).grownBytes;
  };
  const large = Buffer.alloc(192 * MIB, randomBytes(MIB));
  /** Sources are far ahead of what they are read by. */
  const slow: ReleaseBounds = { ...bounds, maxArchiveBytes: large.length, fetchBytesPerS: 96 * MIB };

  it("from a server", async () => {
    const server = await serving((response, _attempt, request) => sendFile(request, response, large));
    const bytes = await grown(releaseOf("v1", large, server.origin), slow);
    assert.ok(bytes < large.length / 2, `${bytes} bytes`);
  });

  it("from a file", async () => {
    const file = join(scratch.dir, "large");
    await writeFile(file, large);
    const bytes = await grown(releaseOf("v1", large, pathToFileURL(file).href), slow);
    assert.ok(bytes < large.length / 2, `${bytes} bytes`);
  });

  it("from the bus", async () => {
    const half = large.subarray(0, large.length / 2);
    const { nats, release } = await storing(half);
    const bytes = await grown(release, { ...slow, fetchBytesPerS: 48 * MIB }, nats.url);
    assert.ok(bytes < half.length / 2, `${bytes} bytes`);
  });
});

describe("a source that sends 10 GB is cut off", () => {
  const archive = randomBytes(MIB);

  /** Sends without end, as fast as it is read; counts what went out, and says when the connection is gone. */
  function flood(response: ServerResponse): { sent(): number; gone: Promise<unknown> } {
    let sent = 0;
    const piece = Buffer.alloc(64 * 1024);
    const more = () => {
      do sent += piece.length;
      while (response.write(piece));
    };
    response.on("drain", more);
    const gone = once(response, "close");
    more();
    return { sent: () => sent, gone };
  }

  for (const announced of [true, false]) {
    it(`at once, where it ${announced ? "says so" : "does not say so"}`, async () => {
      const floods: ReturnType<typeof flood>[] = [];
      const server = await serving((response) => {
        if (announced) response.setHeader("content-length", 10 * 1024 * MIB);
        floods.push(flood(response));
      });
      await failsWith(
        fetchArchive(releaseOf("v1", archive, server.origin), path(), bounds, noObjects, quietly()),
        "SIZE_MISMATCH",
      );
      assert.equal(floods.length, 1);
      await floods[0]?.gone;
      // What the sockets' buffers hold is on its way already.
      assert.ok((floods[0]?.sent() ?? 0) < 32 * MIB, `${floods[0]?.sent()} bytes`);
    });
  }

  it("where it said that it would send the rest", async () => {
    const floods: ReturnType<typeof flood>[] = [];
    const server = await serving((response, attempt, { headers }) => {
      const start = Number(/\d+/.exec(headers.range ?? "")?.[0] ?? 0);
      if (attempt === 1) {
        response.setHeader("content-length", archive.length);
        response.write(archive.subarray(0, archive.length / 2), () => response.socket?.end());
      } else {
        if (start > 0) response.writeHead(206, { "content-range": `bytes ${start}-${archive.length - 1}/*` });
        floods.push(flood(response));
      }
    });
    await failsWith(
      fetchArchive(releaseOf("v1", archive, server.origin), path(), bounds, noObjects, quietly()),
      "SIZE_MISMATCH",
    );
    for (const { gone, sent } of floods) {
      await gone;
      assert.ok(sent() < 32 * MIB, `${sent()} bytes`);
    }
  });
});

describe("a server that does not speak HTTP", () => {
  it("garbage instead of an HTTP answer fails the attempt", async () => {
    const server = await serving((response) => response.socket?.end(randomBytes(1000)));
    const release = releaseOf("v1", Buffer.of(1), server.origin);
    const within = { ...bounds, fetchAttempts: 2 };
    await failsWith(fetchArchive(release, path(), within, noObjects, quietly()), "RELEASE_UNREACHABLE");
    assert.equal(server.requests.length, 2);
  });
});

describe("an abort ends a fetch at once", () => {
  /** Sooner than a stall, or a pause between attempts, would end by itself. */
  const AT_ONCE_MS = bounds.stallTimeoutMs / 2;
  const reason = new Error("superseded");
  const bytes = randomBytes(MIB);

  async function ends(release: Archive, over: Partial<ReleaseBounds>, begun: () => unknown, objects = noObjects) {
    const abort = new AbortController();
    let done = 0;
    const options = {
      signal: abort.signal,
      onProgress: (progress: { done: number }) => {
        done = progress.done;
      },
    };
    const fetching = fetchArchive(release, path(), { ...bounds, ...over }, objects, options);
    fetching.catch(() => {});
    await until("is in the middle", () => begun() || done > 0, { everyMs: 5 });
    const abortedAt = performance.now();
    abort.abort(reason);
    await assert.rejects(fetching, (error) => error === reason);
    const tookMs = performance.now() - abortedAt;
    assert.ok(tookMs < AT_ONCE_MS, `took ${tookMs} ms`);
  }

  it("where the server does not answer", async () => {
    const server = await serving(() => {});
    await ends(releaseOf("v1", bytes, server.origin), {}, () => server.requests.length > 0);
  });

  it("where the server stalls", async () => {
    const server = await serving((response) => response.write(bytes.subarray(0, 1000)));
    await ends(releaseOf("v1", bytes, server.origin), {}, () => false);
  });

  it("in the pause before the next attempt", async () => {
    const server = await serving((response) => response.writeHead(503).end());
    await ends(releaseOf("v1", bytes, server.origin), { fetchAttempts: 20 }, () => server.requests.length > 1);
  });

  it("in a pause for the rate limit", async () => {
    await ends(await releaseInFile(scratch.dir, "v1", bytes), { fetchBytesPerS: 1024 }, () => false);
  });

  it("in the middle of an object", async () => {
    const { objects, release } = await storing(bytes);
    await ends(release, { fetchBytesPerS: 128 * 1024 }, () => false, objects);
  });

  it("where an object's bus is gone", async () => {
    const { objects, release, nats } = await storing(bytes);
    await nats.kill();
    let asked = false;
    const watched: ObjectSource = {
      read: (...args) => {
        asked = true;
        return objects.read(...args);
      },
    };
    await ends(release, {}, () => asked, watched);
  });
});

describe("an object", () => {
  const bytes = randomBytes(5 * MIB + 17);

  it("comes whole, in chunks", async () => {
    const { objects, release } = await storing(bytes);
    await timed(release, bounds, objects);
  });

  it("comes whole although the server is started anew in the middle", async () => {
    const { objects, release, nats } = await storing(bytes);
    const within = { ...bounds, stallTimeoutMs: 1_500, fetchAttempts: 10, fetchBytesPerS: 5 * MIB };
    let restarted: Promise<void> | null = null;
    const onProgress = ({ done }: { done: number }) => {
      if (done > MIB) restarted ??= nats.kill().then(() => nats.restart());
    };
    await fetchArchive(release, path(), within, objects, { ...quietly(), onProgress });
    assert.ok(restarted);
    await restarted;
  });

  it("of another size is refused", async () => {
    const { objects, release } = await storing(bytes);
    for (const sizeBytes of [bytes.length - 1, bytes.length + 1]) {
      const other = { ...release, sizeBytes };
      await failsWith(fetchArchive(other, path(), bounds, objects, quietly()), "SIZE_MISMATCH");
    }
  });

  it("that is not there is not found, and neither is its bucket", async () => {
    const { objects, release } = await storing(bytes);
    for (const url of [objectUrl("web/v2", "releases"), objectUrl("web/v1", "nowhere")]) {
      await failsWith(fetchArchive({ ...release, url }, path(), bounds, objects, quietly()), "RELEASE_NOT_FOUND");
    }
  });
});
