import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import type { ReleaseBounds } from "../../../../agent/releases/bounds.ts";
import { fetchArchive } from "../../../../agent/releases/fetch/fetch.ts";
import type { ObjectSource } from "../../../../agent/releases/fetch/opened.ts";
import { type Archive, objectUrl } from "../../../../protocol/release.ts";
import { type ArchiveServer, sendFile, serve } from "../support/archive-server.ts";
import { bounds, failsWith, noObjects, quietly, releaseOf } from "../support/installing.ts";
import { useScratch } from "../support/scratch.ts";

const scratch = useScratch();
const bytes = randomBytes(256 * 1024);
const HALF = 128 * 1024;
const garbage = randomBytes(bytes.length);

async function serving(answer: Parameters<typeof serve>[0]): Promise<ArchiveServer> {
  const server = await serve(answer);
  scratch.ends.push(() => server.close());
  return server;
}

const status = (code: number) => serving((response) => response.writeHead(code).end());
const good = (content = bytes) => serving((response, _attempt, request) => sendFile(request, response, content));
const cut = (content = bytes) =>
  serving((response, _attempt, request) => sendFile(request, response, content, { cutAfter: HALF }));

function from(...servers: (ArchiveServer | string)[]): Archive {
  const [url = "", ...mirrors] = servers.map((server) => (typeof server === "string" ? server : `${server.origin}/v1`));
  return { ...releaseOf("v1", bytes, url), mirrors };
}

const fetching = (release: Archive, over: Partial<ReleaseBounds> = {}, objects: ObjectSource = noObjects) =>
  fetchArchive(release, join(scratch.dir, "archive"), { ...bounds, fetchAttempts: 2, ...over }, objects, quietly());

async function fetched(release: Archive, objects?: ObjectSource): Promise<void> {
  await fetching(release, {}, objects);
  assert.deepEqual(await readFile(join(scratch.dir, "archive")), bytes);
}

const counts = (...servers: ArchiveServer[]) => servers.map(({ requests }) => requests.length);

describe("the next source is turned to", () => {
  it("only where the one before does not do", async () => {
    const [first, second] = [await good(), await good()];
    await fetched(from(first, second));
    assert.deepEqual(counts(first, second), [1, 0]);
  });

  for (const code of [404, 410]) {
    it(`at once after a ${code}`, async () => {
      const [first, second] = [await status(code), await good()];
      await fetched(from(first, second));
      assert.deepEqual(counts(first, second), [1, 1]);
    });
  }

  it("after all attempts with one that is overloaded", async () => {
    const [first, second] = [await status(503), await good()];
    await fetched(from(first, second));
    assert.deepEqual(counts(first, second), [2, 1]);
  });

  it("at once after one with another content, of which nothing is kept", async () => {
    const [first, second] = [await good(garbage), await good()];
    await fetched(from(first, second));
    assert.deepEqual(counts(first, second), [1, 1]);
    assert.equal(second.requests[0]?.headers.range, undefined);
  });

  it("and resumes what came from the one before, without its ETag", async () => {
    const first = await serving((response, attempt, request) => {
      if (attempt > 1) response.writeHead(503).end();
      else sendFile(request, response, bytes, { etag: '"one"', cutAfter: HALF });
    });
    const second = await good();
    await fetched(from(first, second));
    assert.match(second.requests[0]?.headers.range ?? "", /^bytes=[1-9]\d*-$/);
    assert.equal(second.requests[0]?.headers["if-range"], undefined);
  });

  it("whatever kind it is of", async () => {
    const path = join(scratch.dir, "mirror");
    await writeFile(path, bytes);
    await fetched(from(await status(500), objectUrl("none"), pathToFileURL(path).href));
  });

  it("from the start where it is an object of the bus", async () => {
    const objects: ObjectSource = { read: async () => new Blob([bytes]).stream() as ReadableStream<Uint8Array> };
    await fetched(from(await cut(), objectUrl("v1")), objects);
  });
});

describe("each source is asked for the whole where a mixture has another digest", () => {
  it("and the good one does, although the one before sends garbage", async () => {
    const bad = await serving((response, attempt, request) => {
      if (attempt > 1) response.writeHead(503).end();
      else sendFile(request, response, garbage, { cutAfter: HALF });
    });
    const second = await good();
    await fetched(from(bad, second));
    assert.match(second.requests[0]?.headers.range ?? "", /^bytes=[1-9]\d*-$/);
    assert.equal(second.requests[1]?.headers.range, undefined);
  });

  it("but for those that said that they don't have it", async () => {
    const [gone, bad, second] = [await status(404), await cut(garbage), await good()];
    await fetched(from(gone, bad, second));
    assert.equal(gone.requests.length, 1);
  });

  it("and those that were not asked before, too", async () => {
    const third = await good();
    await fetched(from(await cut(garbage), await good(garbage), third));
    assert.equal(third.requests.length, 1);
  });

  it("and if none does, the order says so of each", async () => {
    const servers = [await cut(garbage), await good(garbage)];
    const error = await failsWith(fetching(from(...servers)), "RELEASE_UNREACHABLE");
    assert.match(error.message, /it has sha256 [0-9a-f]{64}/);
    for (const { origin } of servers) assert.ok(error.message.includes(`${origin}/v1: `), error.message);
  });
});

describe("an order that fails names all sources and why", () => {
  it("and has the code of what may pass", async () => {
    const servers = [await status(404), await status(503), await good(garbage)];
    const { message } = await failsWith(fetching(from(...servers)), "RELEASE_UNREACHABLE");
    const [first, second, third] = servers.map(({ origin }) => `${origin}/v1`);
    assert.match(message, /from any of its 3 addresses/);
    assert.ok(message.includes(`${first}: status 404; `), message);
    assert.ok(message.includes(`${second}: the server answered with status 503, the last of 2 attempts; `), message);
    assert.ok(message.includes(`${third}: it has sha256 `), message);
  });

  it("and has the code for a wrong content before that for a missing one", async () => {
    const servers = [await status(404), await good(garbage)];
    const error = await failsWith(fetching(from(...servers)), "DIGEST_MISMATCH");
    for (const { origin } of servers) assert.ok(error.message.includes(`${origin}/v1: `), error.message);
    const shorter = [await status(404), await good(bytes.subarray(1))];
    const other = await failsWith(fetching(from(...shorter)), "SIZE_MISMATCH");
    for (const { origin } of shorter) assert.ok(other.message.includes(`${origin}/v1: `), other.message);
  });

  it("and is that it is nowhere only where all say so", async () => {
    const servers = [await status(404), await status(410)];
    const { message } = await failsWith(fetching(from(...servers, "file:///no/such")), "RELEASE_NOT_FOUND");
    assert.match(message, /status 404; .*status 410; file:\/\/\/no\/such: no such file/);
  });

  it("once each, though they are listed twice", async () => {
    const server = await status(404);
    await failsWith(fetching(from(server, server)), "RELEASE_NOT_FOUND");
    assert.equal(server.requests.length, 1);
  });

  it("without their passwords and signatures", async () => {
    const servers = [await status(404), await status(500), await good(garbage), await good(bytes.subarray(1))];
    const secret = (origin: string) => `${origin.replace("//", "//ann:s3cret@")}/v1?sig=s1gned#fr4gment`;
    const urls = servers.map(({ origin }) => secret(origin));
    for (const release of [from(...urls), ...urls.map((url) => from(url))]) {
      const error = await fetching(release).then(
        () => assert.fail("should have failed"),
        (reason: unknown) => reason as Error,
      );
      const told = `${JSON.stringify(error)} ${error.message} ${error.stack} ${error.cause}`;
      assert.doesNotMatch(told, /s3cret|s1gned|fr4gment/);
    }
  });
});
