import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { fetchArchive } from "../../../../agent/releases/fetch/fetch.ts";
import type { Progress } from "../../../../agent/releases/store/store.ts";
import type { Archive } from "../../../../protocol/release.ts";
import { type ArchiveServer, type Sent, sendFile, serve } from "../support/archive-server.ts";
import { bounds, failsWith, noObjects, releaseOf } from "../support/installing.ts";
import { useScratch } from "../support/scratch.ts";

const scratch = useScratch();
const bytes = randomBytes(512 * 1024);
const HALF = 256 * 1024;
const ETAG = '"one"';
const MODIFIED = "Wed, 21 Oct 2015 07:28:00 GMT";

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server that gives one answer after the other, and the last one again. */
async function answering(...answers: [Answer, ...Answer[]]): Promise<ArchiveServer> {
  const server = await serve((response, attempt, request) => {
    const answer = answers[Math.min(attempt, answers.length) - 1] as Answer;
    answer(request, response);
  });
  scratch.ends.push(() => server.close());
  return server;
}

const file =
  (how: Sent = {}, content = bytes): Answer =>
  (request, response) =>
    sendFile(request, response, content, how);

/** Where a request's range begins: not always where the server broke off, as what is in buffers then may be lost. */
const startOf = ({ headers }: IncomingMessage) => Number(/^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1] ?? Number.NaN);

const part =
  (range: string, content: Buffer): Answer =>
  (_request, response) =>
    response.writeHead(206, { "content-range": range }).end(content);

async function fetched(release: Archive, fetchAttempts = 3): Promise<Progress[]> {
  const path = join(scratch.dir, "archive");
  const seen: Progress[] = [];
  const onProgress = (progress: Progress) => seen.push(progress);
  const signal = new AbortController().signal;
  await fetchArchive(release, path, { ...bounds, fetchAttempts }, noObjects, { signal, onProgress });
  assert.deepEqual(await readFile(path), bytes);
  assert.deepEqual(seen.at(-1), { done: bytes.length, total: bytes.length });
  return seen;
}

describe("a fetch that broke off goes on where it was", () => {
  for (const [what, how, validator] of [
    ["a strong ETag", { etag: ETAG, lastModified: MODIFIED }, ETAG],
    ["a weak ETag and a date", { etag: 'W/"one"', lastModified: MODIFIED }, MODIFIED],
    ["a date", { lastModified: MODIFIED }, MODIFIED],
    ["neither, as the digest tells in the end", {}, undefined],
  ] as const) {
    it(`with ${what}`, async () => {
      const server = await answering(file({ ...how, cutAfter: HALF }), file(how));
      const seen = await fetched(releaseOf("v1", bytes, server.origin));
      const [first, second] = server.requests;
      assert.equal(first?.headers.range, undefined);
      assert.equal(second?.headers["if-range"], validator);
      const start = startOf(second as IncomingMessage);
      assert.ok(start > 0 && start <= HALF, `${start}`);
      assert.ok(seen.some(({ done }) => done === start));
    });
  }

  it("as often as it has to, and never goes back in its progress", async () => {
    const server = await answering(file({ etag: ETAG, cutAfter: 200_000 }));
    const seen = await fetched(releaseOf("v1", bytes, server.origin), 20);
    assert.ok(server.requests.length >= 3);
    assert.ok(seen.every(({ done }, i) => done >= (seen[i - 1]?.done ?? 0)));
  });

  it("although a part in the middle is shorter than asked for", async () => {
    const server = await answering(
      file({ cutAfter: HALF }),
      (request, response) => {
        const start = startOf(request);
        part(`bytes ${start}-${start + 999}/*`, bytes.subarray(start, start + 1000))(request, response);
      },
      file(),
    );
    await fetched(releaseOf("v1", bytes, server.origin));
    const [, second, third] = server.requests;
    assert.equal(startOf(third as IncomingMessage), startOf(second as IncomingMessage) + 1000);
  });

  it("and needs no more where only the end of a chunked answer was missing", async () => {
    const server = await answering((_request, response) => {
      response.write(bytes, () => response.socket?.end());
    });
    await fetched(releaseOf("v1", bytes, server.origin));
    assert.equal(server.requests.length, 1);
  });

  it("from a file, in its middle", async () => {
    const path = join(scratch.dir, "mirror");
    // Its beginning is wrong, so that reading it from the start would show.
    await writeFile(path, Buffer.concat([Buffer.alloc(1000), bytes.subarray(1000)]));
    const server = await answering(file({ cutAfter: HALF }));
    const release = { ...releaseOf("v1", bytes, server.origin), mirrors: [pathToFileURL(path).href] };
    await fetched(release, 1);
  });
});

describe("a fetch that broke off begins anew", () => {
  it("where the server sends the whole again, and its progress with it", async () => {
    const server = await answering(file({ etag: ETAG, cutAfter: HALF }), file({ ranges: false }));
    const seen = await fetched(releaseOf("v1", bytes, server.origin));
    assert.equal(server.requests.length, 2);
    const again = seen.findIndex(({ done }, i) => i > 0 && done < (seen[i - 1]?.done ?? 0));
    assert.equal(seen[again]?.done, 0);
  });

  it("where the content changed meanwhile", async () => {
    const old = randomBytes(bytes.length);
    const server = await answering(file({ etag: '"old"', cutAfter: HALF }, old), file({ etag: ETAG }));
    await fetched(releaseOf("v1", bytes, server.origin));
    assert.equal(server.requests.length, 2);
  });

  const rest = (range: (start: number) => string | undefined, headers: Record<string, string> = {}): Answer => {
    return (request, response) => {
      const start = startOf(request);
      const said = range(start);
      response.writeHead(206, { ...headers, ...(said && { "content-range": said }) }).end(bytes.subarray(start));
    };
  };
  const LAST = bytes.length - 1;
  for (const [what, answer] of [
    ["another part", part(`bytes 0-${HALF - 1}/${bytes.length}`, bytes.subarray(0, HALF))],
    ["a part that ends before it begins", rest((start) => `bytes ${start}-${start - 1}/${bytes.length}`)],
    ["a part beyond the end", rest((start) => `bytes ${start}-${bytes.length}/*`)],
    ["a range in other units", rest((start) => `items ${start}-${LAST}/*`)],
    ["garbage for a range", rest(() => "bytes of all sorts")],
    ["more than the part that it announced", rest((start) => `bytes ${start}-${start + 9}/*`)],
    ["a part without saying which", rest(() => undefined)],
    ["a part of something with another ETag", rest((start) => `bytes ${start}-${LAST}/*`, { etag: '"other"' })],
    ["416", ((_request, response) => response.writeHead(416).end()) satisfies Answer],
  ] as const) {
    it(`where the server answers with ${what}`, async () => {
      const server = await answering(file({ etag: ETAG, cutAfter: HALF }), answer, file());
      await fetched(releaseOf("v1", bytes, server.origin));
      assert.equal(server.requests.length, 3);
      assert.equal(server.requests[2]?.headers.range, undefined);
    });
  }

  it("once, where the parts do not belong together", async () => {
    const other = randomBytes(bytes.length);
    const server = await answering(file({ cutAfter: HALF }, other), file());
    await fetched(releaseOf("v1", bytes, server.origin));
    const ranges = server.requests.map(({ headers }) => headers.range !== undefined);
    assert.deepEqual(ranges, [false, true, false]);
  });
});

describe("a resumed fetch fails", () => {
  const failing = (release: Archive, code: Parameters<typeof failsWith>[1]) => failsWith(fetched(release), code);

  it("where the whole has another digest, too", async () => {
    const other = randomBytes(bytes.length);
    const server = await answering(file({ cutAfter: HALF }, other), file({}, other));
    await failing(releaseOf("v1", bytes, server.origin), "DIGEST_MISMATCH");
    assert.equal(server.requests.length, 3);
  });

  it("where the part is one of an archive of another size", async () => {
    const longer = Buffer.concat([bytes, Buffer.of(0)]);
    const server = await answering(file({ cutAfter: HALF }), file({}, longer));
    const error = await failing(releaseOf("v1", bytes, server.origin), "SIZE_MISMATCH");
    assert.match(error.message, new RegExp(`has ${longer.length} bytes`));
    assert.equal(server.requests.length, 2);
  });

  it("where a part comes although the whole was asked for", async () => {
    const server = await answering(part(`bytes 0-${bytes.length - 1}/${bytes.length}`, bytes));
    const error = await failing(releaseOf("v1", bytes, server.origin), "RELEASE_UNREACHABLE");
    assert.match(error.message, /sent a part where the whole was asked for, the last of 3 attempts/);
  });
});
