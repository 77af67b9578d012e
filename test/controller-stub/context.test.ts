import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { Authority } from "../support/nats/certificates.ts";
import { type ConfiguredNats, startNatsWith } from "../support/nats/with-config.ts";
import { freePorts } from "../support/ports.ts";
import { type Ended, endAll, start } from "./cli.ts";

const SECRET = "s3cret-of-a-context";
const ADDRESS = "127.0.1.21";
/** Nothing listens there. */
const NOWHERE = "nats://127.0.1.21:1";

describe("a context of the nats command", () => {
  let home: string;
  let authority: Authority;
  let bus: ConfiguredNats;
  let url: string;
  before(async () => {
    home = mkdtempSync(join(tmpdir(), "slotd-context-"));
    authority = new Authority();
    const { cert, key } = authority.issue(`IP:${ADDRESS}`);
    const [port] = (await freePorts(1, ADDRESS)) as [number];
    const configuration = [
      "jetstream: { store_dir: $STORE }",
      `tls { cert_file: "${cert}", key_file: "${key}" }`,
      `authorization: { users: [ { user: anna, password: "${SECRET}" } ] }`,
    ];
    bus = await startNatsWith(port, configuration.join("\n"), ADDRESS);
    url = `tls://${ADDRESS}:${port}`;
  });
  after(async () => {
    await bus?.stop();
    authority?.remove();
    rmSync(home, { recursive: true, force: true });
  });
  afterEach(endAll);

  function context(name: string, fields: object | string, config = join(home, ".config")): void {
    const directory = join(config, "nats", "context");
    mkdirSync(directory, { recursive: true });
    const text = typeof fields === "string" ? fields : JSON.stringify(fields);
    writeFileSync(join(directory, `${name}.json`), text);
  }
  const good = () => ({ description: "x", url, user: "anna", password: SECRET, ca: authority.cert, nsc: "" });

  async function setup(env: Record<string, string>, ...args: string[]): Promise<Ended> {
    const ended = await start("", ["setup", ...args, "--json"], { HOME: home, ...env }).ended;
    assert(!`${ended.stdout}${ended.stderr}`.includes(SECRET), "a secret was shown");
    return ended;
  }
  const succeeds = async (...given: Parameters<typeof setup>) => {
    const { code, stderr } = await setup(...given);
    assert.equal(code, 0, stderr);
  };
  const isUsage = async (message: RegExp, ...given: Parameters<typeof setup>) => {
    const { code, stderr, json } = await setup(...given);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
    assert.equal(json().error.code, "USAGE");
  };

  it("gives the server, the login and the authority", async () => {
    context("prod", good());
    await succeeds({}, "--context", "prod");
    await succeeds({ SLOTD_CONTEXT: "prod", SLOTD_NATS: NOWHERE });
  });

  it("is looked for where XDG_CONFIG_HOME says", async () => {
    const config = join(home, "elsewhere");
    context("far", good(), config);
    await succeeds({ XDG_CONFIG_HOME: config }, "--context", "far");
    await isUsage(/--context far: can't be read/, {}, "--context", "far");
  });

  it("may name files below the home directory by ~", async () => {
    writeFileSync(join(home, "seed"), "no seed");
    context("tilde", { ...good(), user: "", password: "", nkey: "~/seed" });
    const { code, stderr } = await setup({}, "--context", "tilde");
    assert.equal(code, 3);
    assert.match(stderr, /seed holds no seed/);
  });

  it("gives way to a server on the command line, and not to one in the environment", async () => {
    context("nowhere", { ...good(), url: NOWHERE });
    await succeeds({}, "--context", "nowhere", "--nats", url);
    const { code } = await setup({ SLOTD_NATS: url }, "--context", "nowhere");
    assert.equal(code, 3);
  });

  it("is refused with another login on the command line, and replaces one in the environment", async () => {
    context("prod", good());
    await isUsage(/--context must not be combined with --nkey/, {}, "--context", "prod", "--nkey", "/x");
    await succeeds({ SLOTD_TOKEN_FILE: "/x" }, "--context", "prod");
  });

  it("is refused where it asks for what can't be honoured, and the field is named", async () => {
    const asks = { nsc: "nsc://op/acc/user", socks_proxy: "socks5://x", jetstream_domain: "hub", user_jwt: "eyJ" };
    for (const [field, value] of Object.entries(asks)) {
      context("odd", { ...good(), [field]: value });
      await isUsage(new RegExp(`--context odd: .*"${field}".*can't honour`), {}, "--context", "odd");
    }
  });

  it("is refused where it has two logins, or half of one", async () => {
    context("two", { ...good(), token: SECRET });
    await isUsage(/--context two: user must not be combined with token/, {}, "--context", "two");
    context("half", { ...good(), password: "" });
    await isUsage(/--context half: password is required with user/, {}, "--context", "half");
  });

  it("is refused where its server, or a file that it names, is no good", async () => {
    context("bad", { ...good(), url: "http://bus" });
    await isUsage(/--context bad: url must be a nats:\/\//, {}, "--context", "bad");
    context("lost", { ...good(), ca: "/nowhere" });
    await isUsage(/--context lost: ca can't be read/, {}, "--context", "lost");
    await succeeds({}, "--context", "lost", "--tlsca", authority.cert);
  });

  it("is refused where it is malformed or missing, without a word of what is in it", async () => {
    context("torn", `{ "password": "${SECRET}`);
    await isUsage(/--context torn: .*must be a JSON object/, {}, "--context", "torn");
    context("list", { ...good(), user: ["anna"] });
    await isUsage(/--context list: .*user/, {}, "--context", "list");
    await isUsage(/--context none: can't be read/, {}, "--context", "none");
    await isUsage(/--context .*must be the name of a context, not a path/, {}, "--context", "../prod");
  });
});

describe("a login of the controller", () => {
  afterEach(endAll);

  const exclusive: [args: string[], env: Record<string, string>, message: RegExp][] = [
    [["--creds", "/c", "--token-file", "/t"], {}, /--creds must not be combined with --token-file/],
    [["--nkey", "/n", "--user", "u", "--password-file", "/p"], {}, /--nkey must not be combined with --user/],
    [["--user", "u"], {}, /--password-file is required with --user/],
    [["--password-file", "/p"], {}, /--user is required with --password-file/],
    [["--tlscert", "/c"], {}, /--tlskey is required with --tlscert/],
    [["--tlskey", "/c"], {}, /--tlscert is required with --tlskey/],
    [["--tlsca", "/nowhere"], {}, /--tlsca can't be read/],
    [["--nkey", "/nowhere"], {}, /--nkey can't be read/],
    [
      ["--nats", `nats://u:${SECRET}@h`, "--creds", "/c"],
      {},
      /--creds must not be combined with a login in the server's/,
    ],
    [["--nats", `u:${SECRET}@h:x`], {}, /--nats must be a nats:\/\/HOST:PORT or tls:\/\/HOST:PORT address/],
    [[], { SLOTD_CREDS: "/c", SLOTD_NKEY: "/n" }, /SLOTD_CREDS must not be combined with SLOTD_NKEY/],
    [[], { SLOTD_NKEY: "/nowhere" }, /SLOTD_NKEY can't be read/],
    [["--creds", "/nowhere"], { SLOTD_NKEY: "/n" }, /--creds can't be read/],
    [["--creds", "/nowhere"], { SLOTD_NATS: `nats://u:${SECRET}@h` }, /--creds can't be read/],
  ];
  for (const [args, env, message] of exclusive) {
    it(`is refused with ${[...args, ...Object.keys(env)].filter((word) => /^(--|SLOTD)/.test(word)).join(" ")}`, async () => {
      const { code, stderr } = await start(NOWHERE, ["status", "web", ...args], env).ended;
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
      assert(!stderr.includes(SECRET));
    });
  }
});
