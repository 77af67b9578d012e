import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { stringify } from "smol-toml";
import { parseConfig } from "../../agent/config/load.ts";
import { ConfigInvalidError } from "../../protocol/errors.ts";
import { slotd } from "../support/slotd.ts";

const good = { service: "web", host: "h1", app: { command: ["node", "server.js"] } };
const app = good.app;

/** What breaks a rule → the key that has to be named, and the configuration. */
const bad: Record<string, [key: string, config: object]> = {
  "no service": ["service", { app }],
  "no command, and none that a release may bring": ["app.command", { ...good, app: {}, releases: { may_set: [] } }],
  "an empty command": ["app.command", { ...good, app: { command: [] } }],
  "a command with a NUL": ["app.command.0", { ...good, app: { command: ["a\0b"] } }],
  "a service that is no name": ["service", { ...good, service: "Web" }],
  "a host that is no name": ["host", { ...good, host: "h 1" }],
  "a stage that is no name": ["stage", { ...good, stage: "" }],
  "an unknown key": ["colour", { ...good, colour: "red" }],
  "an unknown key in a table": ["app.colour", { ...good, app: { ...app, colour: "red" } }],
  "an unknown key in a slot": ["slots.a.colour", { ...good, slots: { a: { port: 1, colour: "red" } } }],
  "an address to bind that is a name": ["bind", { ...good, bind: "localhost" }],
  "no slots": ["slots", { ...good, slots: {} }],
  "two slots on a port": ["slots.b.port", { ...good, slots: { a: { port: 8000 }, b: { port: 8000 } } }],
  "a port out of range": ["slots.a.port", { ...good, slots: { a: { port: 70_000 } } }],
  "a port that is text": ["slots.a.port", { ...good, slots: { a: { port: "8000" } } }],
  "a state directory that is relative": ["state_directory", { ...good, state_directory: "state" }],
  "no servers": ["nats.servers", { ...good, nats: { servers: [] } }],
  "a user without a password": ["nats.password_file", { ...good, nats: { user: "anna" } }],
  "a password without a user": ["nats.user", { ...good, nats: { password_file: "/p" } }],
  "a certificate without a key": ["nats.tls.key_file", { ...good, nats: { tls: { cert_file: "/c" } } }],
  "two ways to log in": ["nats.credentials_file", { ...good, nats: { credentials_file: "/c", token_file: "/t" } }],
  "an NKey beside credentials": [
    "nats.credentials_file",
    { ...good, nats: { credentials_file: "/c", nkey_file: "/n" } },
  ],
  "a token beside a user": ["nats.user", { ...good, nats: { user: "anna", password_file: "/p", token_file: "/t" } }],
  "a login beside one in an address": [
    "nats.token_file",
    { ...good, nats: { servers: ["nats://anna:pw@bus-1:4333"], token_file: "/t" } },
  ],
  "an address of another kind": ["nats.servers.1", { ...good, nats: { servers: ["bus-1", "http://bus-2"] } }],
  "too many copies": ["nats.replicas", { ...good, nats: { replicas: 6 } }],
  "an environment that sets PORT": ["app.environment", { ...good, app: { ...app, environment: { PORT: "1" } } }],
  "an environment that sets SLOTD_SLOT": [
    "app.environment",
    { ...good, app: { ...app, environment: { SLOTD_SLOT: "1" } } },
  ],
  "an environment with a name that is none": [
    "app.environment.A B",
    { ...good, app: { ...app, environment: { "A B": "1" } } },
  ],
  "an environment with a number": ["app.environment.A", { ...good, app: { ...app, environment: { A: 1 } } }],
  "a signal that does not end": ["app.stop_signal", { ...good, app: { ...app, stop_signal: "SIGSTOP" } }],
  "a back-off that shrinks": [
    "app.restart_backoff_max_ms",
    { ...good, app: { ...app, restart_backoff_min_ms: 500, restart_backoff_max_ms: 100 } },
  ],
  "an environment that sets NOTIFY_SOCKET": [
    "app.environment",
    { ...good, app: { ...app, environment: { NOTIFY_SOCKET: "/x" } } },
  ],
  "a group without a user": ["app.user", { ...good, app: { ...app, group: "web" } }],
  "supplementary groups without a user": ["app.user", { ...good, app: { ...app, supplementary_groups: ["x"] } }],
  "a umask that is a number": ["app.umask", { ...good, app: { ...app, umask: 22 } }],
  "a umask that is not octal": ["app.umask", { ...good, app: { ...app, umask: "0088" } }],
  "a secret from nowhere": ["app.secrets.KEY", { ...good, app: { ...app, secrets: { KEY: {} } } }],
  "a secret from two places": [
    "app.secrets.KEY",
    { ...good, app: { ...app, secrets: { KEY: { file: "/k", credential: "k" } } } },
  ],
  "a secret in a relative file": [
    "app.secrets.KEY.file",
    { ...good, app: { ...app, secrets: { KEY: { file: "k" } } } },
  ],
  "a credential with a path": [
    "app.secrets.KEY.credential",
    { ...good, app: { ...app, secrets: { KEY: { credential: "../k" } } } },
  ],
  "a secret that is in the environment too": [
    "app.secrets.KEY",
    { ...good, app: { ...app, environment: { KEY: "x" }, secrets: { KEY: { file: "/k" } } } },
  ],
  "a secret called PORT": ["app.secrets", { ...good, app: { ...app, secrets: { PORT: { file: "/k" } } } }],
  "less memory than a page cache": ["limits.memory_max_bytes", { ...good, limits: { memory_max_bytes: 1000 } }],
  "no processes": ["limits.pids_max", { ...good, limits: { pids_max: 0 } }],
  "a weight out of range": ["slots.a.cpu_weight", { ...good, slots: { a: { port: 1, cpu_weight: 0 } } }],
  "a liveness path that is relative": ["liveness.path", { ...good, liveness: { path: "live" } }],
  "a watchdog that is too quick": ["watchdog.timeout_ms", { ...good, watchdog: { timeout_ms: 10 } }],
  "recycling at once": ["recycle.age_ms", { ...good, recycle: { age_ms: 1 } }],
  "a crash loop of one end": ["crash_loop.ends", { ...good, crash_loop: { ends: 1 } }],
  "readiness by hope": ["readiness.by", { ...good, readiness: { by: "hope" } }],
  "output to nowhere": ["logs.output", { ...good, logs: { output: "nowhere" } }],
  "workers' sockets with too long a path": [
    "control.socket",
    { ...good, watchdog: { timeout_ms: 5000 }, control: { socket: `/${"s".repeat(90)}.sock` } },
  ],
  "no workers": ["app.workers", { ...good, app: { ...app, workers: 0 } }],
  "a health path with a space": ["health.path", { ...good, health: { path: "/a b" } }],
  "a health path with a line's end": ["health.path", { ...good, health: { path: "/a\r\nb" } }],
  "a health path that is relative": ["health.path", { ...good, health: { path: "a" } }],
  "probes too often": ["health.interval_ms", { ...good, health: { interval_ms: 1 } }],
  "probes more seldom than a timer can wait": ["health.interval_ms", { ...good, health: { interval_ms: 3e9 } }],
  "a timeout of none": ["health.timeout_ms", { ...good, health: { timeout_ms: 0 } }],
  "more ready workers than there are": ["readiness.workers", { ...good, readiness: { workers: 5 } }],
  "a drain of a fraction": ["drain.timeout_ms", { ...good, drain: { timeout_ms: 0.5 } }],
  "a socket that is relative": ["control.socket", { ...good, control: { socket: "s" } }],
  "a socket whose path is too long": ["control.socket", { ...good, control: { socket: `/${"x".repeat(110)}` } }],
  "a level that is none": ["logs.level", { ...good, logs: { level: "loud" } }],
};

function refusal(config: object): ConfigInvalidError {
  try {
    parseConfig(stringify(config));
  } catch (error) {
    assert(error instanceof ConfigInvalidError, String(error));
    return error;
  }
  throw new Error(`it was taken: ${JSON.stringify(config)}`);
}

describe("a configuration", () => {
  for (const [what, [key, config]] of Object.entries(bad)) {
    it(`with ${what} is refused, naming ${key}`, () => {
      const error = refusal(config);
      assert.equal(error.field, key);
      assert(error.message.startsWith(`configuration: ${key} `), error.message);
    });
  }

  it("has a default for all but service and command, and can't be changed", () => {
    const config = parseConfig(stringify({ service: "web", app }));
    assert.deepEqual(config.slots, {
      a: { port: 8000, workers: 2, cpu_weight: 100 },
      b: { port: 8001, workers: 2, cpu_weight: 100 },
    });
    assert.equal(config.state_directory, "/var/lib/slotd/web");
    assert.equal(config.control.socket, "/run/slotd/web.sock");
    assert.throws(() => {
      (config as { service: string }).service = "other";
    }, TypeError);
    assert.throws(() => (config.app.command as string[]).push("x"), TypeError);
  });

  it("gives each slot its share of the workers, and at least one", () => {
    const total = fc.integer({ min: 1, max: 200 });
    fc.assert(
      fc.property(total, fc.integer({ min: 1, max: 5 }), (workers, count) => {
        const slots = Object.fromEntries(Array.from({ length: count }, (_, i) => [`s${i}`, { port: 8000 + i }]));
        const shares = Object.values(parseConfig(stringify({ ...good, slots, app: { ...app, workers } })).slots).map(
          (slot) => slot.workers,
        );
        assert(Math.max(...shares) - Math.min(...shares) <= 1);
        assert(Math.min(...shares) >= 1);
        if (workers >= count)
          assert.equal(
            shares.reduce((sum, share) => sum + share),
            workers,
          );
      }),
    );
  });

  it("that is not TOML is refused with its file, line and column", () => {
    assert.throws(() => parseConfig('service = "web"\nhost = = 1\n', "/etc/slotd/web.toml"), {
      code: "CONFIG_INVALID",
      message: /^configuration: \/etc\/slotd\/web\.toml:2:\d+ is not TOML: /,
    });
  });

  it("is never refused in words that hold a secret of the app or of the bus", () => {
    const secret = "hunter2";
    const tables = [
      { ...good, app: { ...app, environment: { KEY: [secret] } } },
      { ...good, app: { ...app, environment: { "BAD KEY": secret } } },
      { ...good, app: { ...app, environment: { KEY: secret, PORT: secret } } },
      { ...good, app: { ...app, environment: secret } },
      { ...good, app: [{ ...app, environment: { KEY: secret } }] },
      { ...good, slots: { app: { environment: secret } } },
      { ...good, nats: { servers: `nats://anna:${secret}@h:4222` } },
      { ...good, nats: { servers: [`anna:${secret}@h:port`] } },
      { ...good, nats: { servers: [`http://anna:${secret}@h:80`] } },
    ];
    for (const table of tables) assert(!refusal(table).message.includes(secret), refusal(table).message);
  });

  it("of whatever content is taken, or refused naming a key", () => {
    const key = fc.constantFrom(
      "service",
      "app",
      "slots",
      "nats",
      "health",
      "environment",
      "command",
      "a",
      "__proto__",
      "x",
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof({ maxDepth: 4 }, fc.dictionary(key, tie("node"), { maxKeys: 5 })),
      node: fc.oneof(
        { maxDepth: 4 },
        fc.string(),
        fc.integer(),
        fc.double({ noNaN: true }),
        fc.boolean(),
        fc.array(fc.string()),
        tie("tree"),
      ),
    }));
    const withGood = tree.map((value) => ({ ...good, ...(value as object) }));
    const texts = fc.oneof(
      fc.string(),
      fc.oneof(tree, withGood).map((value) => stringify(value as object)),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          parseConfig(text);
        } catch (error) {
          assert(error instanceof ConfigInvalidError, String(error));
          assert(error.field);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("slotd's command line", () => {
  const directory = mkdtempSync(join(tmpdir(), "slotd-config-"));
  after(() => rmSync(directory, { recursive: true }));
  const file = (text: string) => {
    const path = join(directory, `${Math.random()}.toml`);
    writeFileSync(path, text);
    return path;
  };

  it("checks a good configuration and ends with 0, having started nothing", async () => {
    const { code, stdout, stderr } = await slotd("--config", file(stringify(good)), "--check-config");
    assert.equal(code, 0, stderr);
    assert.match(stdout, /good \(service web, slots a, b\)/);
  });

  it("ends with 2 on a configuration that it can't take, with or without --check-config", async () => {
    const path = file('service = "web"\ncolour = "red"\n[app]\ncommand = ["x"]\n');
    for (const args of [["--check-config"], []]) {
      const { code, stdout, stderr } = await slotd("--config", path, ...args);
      assert.equal(code, 2);
      assert.equal(stdout, "");
      assert.match(stderr, /^error CONFIG_INVALID: configuration: colour is not a known key/);
    }
  });

  it("ends with 2 where the configuration is missing, or is no file", async () => {
    for (const path of [join(directory, "none.toml"), directory]) {
      const { code, stderr } = await slotd("--config", path);
      assert.equal(code, 2);
      assert.match(stderr, /^error CONFIG_INVALID: .*can't be read/);
    }
    const without = await slotd();
    assert.equal(without.code, 2);
    assert.match(without.stderr, /--config/);
  });

  it("explains itself", async () => {
    const { code, stdout } = await slotd("--help");
    assert.equal(code, 0);
    for (const word of ["--config", "--check-config", "--version", "Examples:"]) assert(stdout.includes(word), word);
    assert.match((await slotd("--version")).stdout, /^\d+\.\d+\.\d+/);
    assert.equal((await slotd("--colour")).code, 2);
  });

  it("ends with 2 where the state directory can't be one, and says why", async () => {
    const state = join(directory, "file");
    writeFileSync(state, "");
    const path = file(stringify({ ...good, state_directory: state, control: { socket: join(directory, "s.sock") } }));
    const { code, stderr } = await slotd("--config", path);
    assert.equal(code, 2);
    assert.match(stderr, /^error CONFIG_INVALID: configuration: state_directory can't be used \(/);
  });
});
