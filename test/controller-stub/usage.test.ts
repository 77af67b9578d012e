import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, describe, it } from "node:test";
import { programVersion } from "../../daemon/version.ts";
import { endAll, run } from "./cli.ts";
import { runHere } from "./in-process.ts";

/** Nothing listens there: wrong usage is found before the bus is asked. */
const NOWHERE = "nats://127.0.0.1:1";
const ORDER = ["--slot", "a", "--host", "h1"];

describe("the usage of slotd-controller", () => {
  afterEach(endAll);

  const wrong: [why: string, args: string[], names: RegExp][] = [
    ["no verb", [], /verb is missing/],
    ["an unknown verb", ["launch"], /unknown command 'launch'/],
    ["an unknown option", ["status", "web", "--fast"], /unknown option '--fast'/],
    ["a missing argument", ["publish", "web"], /missing required argument 'version'/],
    ["a service that is no name", ["status", "Web"], /'service'.*must match \[a-z0-9\]/],
    ["a version that leaves its directory", ["publish", "web", "1..0", "x"], /'version'.*must not contain '\.\.'/],
    ["an install without a slot", ["install", "web", "1.0", "--host", "h1"], /--slot/],
    ["an install without hosts", ["install", "web", "1.0", "--slot", "a"], /--host or --all-hosts is required/],
    ["hosts and all of them", ["install", "web", "1.0", ...ORDER, "--all-hosts"], /cannot be used with/],
    ["a host that is no name", ["install", "web", "1.0", "--slot", "a", "--host", "h1,*"], /--host.*must be names of/],
    [
      "a number of workers that is none",
      ["install", "web", "1.0", ...ORDER, "--workers", "x"],
      /--workers.*whole number/,
    ],
    ["more workers than an order takes", ["install", "web", "1.0", ...ORDER, "--workers", "5000"], /--workers .*1024/],
    ["an id with a space", ["install", "web", "1.0", ...ORDER, "--id", "a b"], /--id must match/],
    [
      "a url without a digest",
      ["install", "web", "1.0", ...ORDER, "--url", "file:///x", "--size", "1"],
      /--sha256 is required/,
    ],
    [
      "a digest that is none",
      ["install", "web", "1.0", ...ORDER, "--url", "file:///x", "--size", "1", "--sha256", "abc"],
      /--sha256 must be 64/,
    ],
    ["force without a reason", ["uninstall", "web", "1.0", ...ORDER, "--force"], /--reason is required with --force/],
    ["a file that is not there", ["publish", "web", "1.0", "/nowhere/x.tar"], /<file> can't be read: ENOENT/],
    ["a verb with a typing error", ["statu", "web"], /unknown command 'statu'\s\(Did you mean status\?\)/],
    ["an address of another kind", ["status", "web", "--nats", "http://x"], /--nats must be a nats:/],
    ["credentials that are not there", ["status", "web", "--creds", "/nowhere"], /--creds can't be read/],
  ];

  for (const [why, args, names] of wrong) {
    it(`${why} is wrong usage: exit 2, and what is wrong is named`, async () => {
      const ended = await run(NOWHERE, ...args, "--json");
      assert.equal(ended.code, 2, ended.stderr);
      assert.match(ended.stderr, names);
      assert.match(ended.stderr, /^error [A-Z_]+: /m);
      assert.match(ended.json().error.message, names);
    });
  }

  it("help is not an error", async () => {
    const ended = await run(NOWHERE, "install", "--help");
    assert.equal(ended.code, 0);
    assert.match(ended.stdout, /Examples:/);
  });

  it("no line of any help is wider than 80 columns", async () => {
    const all = await run(NOWHERE, "--help");
    const verbs = [...all.stdout.matchAll(/^ {2}([a-z-]+) <service>/gm)].map(([, verb]) => verb as string);
    assert.ok(verbs.length > 15);
    for (const verb of ["", ...verbs]) {
      const { stdout } = verb === "" ? all : await runHere(NOWHERE, [verb, "--help"]);
      for (const line of stdout.split("\n")) assert.ok(line.length <= 80, `${verb}: ${line}`);
    }
  });

  it("says its version", async () => {
    const { code, stdout } = await run(NOWHERE, "--version");
    assert.equal(code, 0);
    assert.equal(stdout, programVersion);
  });

  it("an unreachable bus ends with 3 and what to do next", async () => {
    const ended = await run("nats://me:secret@127.0.0.1:1", "status", "web", "--json");
    assert.equal(ended.code, 3);
    assert.equal(ended.json().error.code, "BUS_UNREACHABLE");
    assert.match(
      ended.stderr,
      /^error BUS_UNREACHABLE: NATS at .* did not answer \(connection refused\); check the address/,
    );
    assert.doesNotMatch(ended.stderr, /secret/);
  });

  it("a bus that accepts connections and stays silent ends with 3 in bounded time", async () => {
    const silent = createServer();
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    try {
      const { port } = silent.address() as AddressInfo;
      const ended = await run(`127.0.0.1:${port}`, "status", "web", "--timeout", "300");
      assert.equal(ended.code, 3);
      assert.match(ended.stderr, /no answer within 300 ms/);
    } finally {
      silent.close();
    }
  });
});
