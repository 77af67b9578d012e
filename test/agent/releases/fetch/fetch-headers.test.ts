import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fetchArchive } from "../../../../agent/releases/fetch/fetch.ts";
import type { Archive } from "../../../../protocol/release.ts";
import { type ArchiveServer, serve } from "../support/archive-server.ts";
import { bounds, failsWith, noObjects, quietly, releaseInFile, releaseOf } from "../support/installing.ts";
import { useScratch } from "../support/scratch.ts";

const scratch = useScratch();
const bytes = Buffer.from("an archive");

async function serving(answer: Parameters<typeof serve>[0]): Promise<ArchiveServer> {
  const server = await serve(answer);
  scratch.ends.push(() => server.close());
  return server;
}

const good = () => serving((response) => response.end(bytes));
const redirecting = (location: string) => serving((response) => response.writeHead(302, { location }).end());
const headersFile = () => join(scratch.dir, "headers");

function fetching(release: Archive, fetchAttempts = 1): Promise<void> {
  const within = { ...bounds, fetchAttempts, fetchHeadersFile: headersFile() };
  return fetchArchive(release, join(scratch.dir, "archive"), within, noObjects, quietly());
}

describe("headers from a file", () => {
  it("are sent with a request", async () => {
    const lines = ["# for the store", "Authorization: Bearer s3cret:x", "", "X-Team:\tweb team  ", ""];
    await writeFile(headersFile(), lines.join("\r\n"));
    const server = await good();
    await fetching(releaseOf("v1", bytes, server.origin));
    assert.equal(server.requests[0]?.headers.authorization, "Bearer s3cret:x");
    assert.equal(server.requests[0]?.headers["x-team"], "web team");
  });

  it("are read at each attempt", async () => {
    await writeFile(headersFile(), "X-Token: old");
    const server = await serving((response, _attempt, request) => {
      if (request.headers["x-token"] === "new") return response.end(bytes);
      return writeFile(headersFile(), "X-Token: new").then(() => response.writeHead(401).end());
    });
    await fetching(releaseOf("v1", bytes, server.origin), 2);
    assert.equal(server.requests.length, 2);
  });

  it("give way to the login that an address carries", async () => {
    await writeFile(headersFile(), "Authorization: Bearer x");
    const server = await good();
    await fetching(releaseOf("v1", bytes, server.origin.replace("//", "//ann:b@")));
    assert.match(server.requests[0]?.headers.authorization ?? "", /^Basic /);
  });

  it("need not be there for a source that takes none", async () => {
    await fetching(await releaseInFile(scratch.dir, "v1", bytes));
  });

  it("follow redirects on the same origin", async () => {
    await writeFile(headersFile(), "X-Token: s3cret");
    const server = await serving((response, attempt) => {
      if (attempt === 1) response.writeHead(307, { location: "/elsewhere" }).end();
      else response.end(bytes);
    });
    await fetching(releaseOf("v1", bytes, server.origin.replace("//", "//ann:b@")));
    assert.equal(server.requests[1]?.headers["x-token"], "s3cret");
    assert.match(server.requests[1]?.headers.authorization ?? "", /^Basic /);
  });

  it("are not sent elsewhere after a redirect, nor is an address's login, nor when the way leads back", async () => {
    await writeFile(headersFile(), "X-Token: s3cret");
    let away = "";
    const home = await serving((response, attempt) => {
      if (attempt === 1) response.writeHead(302, { location: away }).end();
      else response.end(bytes);
    });
    const other = await redirecting(`${home.origin}/back`);
    away = `${other.origin}/away`;
    await fetching(releaseOf("v1", bytes, home.origin.replace("//", "//ann:b@")));
    assert.equal(home.requests[0]?.headers["x-token"], "s3cret");
    for (const request of [other.requests[0], home.requests[1]]) {
      assert.ok(request);
      assert.equal(request.headers["x-token"], undefined);
      assert.equal(request.headers.authorization, undefined);
    }
  });
});

describe("a headers' file that can't be used is named, and never a value", () => {
  const failing = async (attempts = 1) => {
    const server = await good();
    const error = await failsWith(fetching(releaseOf("v1", bytes, server.origin), attempts), "CONFIG_INVALID");
    assert.equal(server.requests.length, 0);
    assert.ok(error.message.includes(headersFile()), error.message);
    assert.match(error.message, /releases\.fetch_headers_file/);
    assert.doesNotMatch(`${error.message} ${error.stack} ${error.cause}`, /s3cret/i);
    return error.message;
  };

  for (const [what, text, line, why] of [
    ["no colon", "X-A: b\n\ns3cret", 3, "has no colon"],
    ["no name", ": s3cret", 1, "does not begin with the name of a header"],
    ["a blank in the name", "X-A: b\ns3cret x: y", 2, "does not begin with the name of a header"],
    ["no value", "s3cret:  ", 1, "has no value"],
    ["a control character", "X-A: s3cret\0", 1, "has a character in its value"],
    ["a letter that headers can't carry", "X-A: s3crét s3cret", 1, "has a character in its value"],
    ["a name twice", "X-A: b\nx-a: s3cret", 2, "repeats the name of a line before"],
    ["a header that slotd sets", "Range: bytes=s3cret", 1, "sets range"],
  ] as const) {
    it(`with ${what}`, async () => {
      await writeFile(headersFile(), text);
      const message = await failing();
      assert.ok(message.includes(`line ${line} of ${headersFile()} ${why}`), message);
    });
  }

  it("where it is missing, at the last attempt, too", async () => {
    assert.match(await failing(2), /can't be read \(ENOENT\), the last of 2 attempts/);
  });

  it("where it is a directory", async () => {
    await mkdir(headersFile());
    assert.match(await failing(), /is not a file/);
  });

  it("where it is far too large", async () => {
    await writeFile(headersFile(), `X-A: ${"s3cret".repeat(20_000)}`);
    assert.match(await failing(), /has more than 65536 bytes/);
  });
});

describe("redirects", () => {
  const fails = async (url: string) => {
    await writeFile(headersFile(), "");
    return (await failsWith(fetching(releaseOf("v1", bytes, url), 3), "RELEASE_UNREACHABLE")).message;
  };

  it("in a loop end the fetch, and say where", async () => {
    const server = await serving((response, _attempt, { url }) =>
      response.writeHead(302, { location: url === "/a" ? "/b?sig=s1gned" : "/a" }).end(),
    );
    const message = await fails(`${server.origin}/a`);
    assert.ok(message.includes(`redirects in a loop, to ${server.origin}/a again`), message);
    assert.doesNotMatch(message, /s1gned/);
    assert.equal(server.requests.length, 2);
  });

  it("without end do so, too", async () => {
    const server = await serving((response, attempt) => response.writeHead(301, { location: `/${attempt}` }).end());
    assert.match(await fails(server.origin), /redirects more than 10 times/);
    assert.equal(server.requests.length, 11);
  });

  for (const [location, scheme] of [
    ["file:///etc/passwd", "file:"],
    ["nats-object://slotd-releases/web", "nats-object:"],
    ["data:,x", "data:"],
  ] as const) {
    it(`to a ${scheme} address are refused`, async () => {
      const server = await redirecting(location);
      const message = await fails(server.origin);
      assert.ok(message.includes(`redirects to a ${scheme} address, which is refused`), message);
      assert.equal(server.requests.length, 1);
    });
  }

  it("to what is no address are refused, and so are those that say nothing", async () => {
    assert.match(await fails((await redirecting("http://")).origin), /without a proper address/);
    const silent = await serving((response) => response.writeHead(302).end());
    assert.match(await fails(silent.origin), /without a proper address/);
  });
});
