import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Kvm } from "@nats-io/kv";
import { Secrets } from "../../agent/workers/process/secrets.ts";
import { buckets } from "../../protocol/subjects.ts";
import type { Host, Settings } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { makeRelease } from "../support/release.ts";
import { slotd } from "../support/slotd.ts";
import { until } from "../support/until.ts";

const PASSWORD = "swordfish-1";
const NEXT_PASSWORD = "halibut-2";
const KEY_LINES = ["-----BEGIN KEY-----", "MIIBVQIBADANBgkqhkiG9w0B", "-----END KEY-----"];

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "slotd-secrets-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Writes a secret's file. */
function put(name: string, value: string | Buffer): string {
  const path = join(directory, name);
  writeFileSync(path, value, { mode: 0o600 });
  return path;
}

describe("the value of a secret", () => {
  it("is a file's text without its last line break, read anew each time", () => {
    const file = put("password", `${PASSWORD}\n`);
    const secrets = new Secrets({ PASSWORD: { file } }, undefined);
    assert.deepEqual(secrets.readValues(), { PASSWORD });
    put("password", " two\nlines \r\n");
    assert.deepEqual(secrets.readValues(), { PASSWORD: " two\nlines " });
    put("password", "");
    assert.deepEqual(secrets.readValues(), { PASSWORD: "" });
  });

  it("can't be read: the variable and the path are named, and nothing of what is in it", () => {
    const wrong: [string | Buffer | null, RegExp][] = [
      [null, /ENOENT/],
      [Buffer.from("top\0secret"), /holds a NUL/],
      [Buffer.from([0x74, 0x6f, 0x70, 0xff, 0xfe]), /is not UTF-8/],
      ["top".repeat(30_000), /is over 65536 bytes/],
    ];
    for (const [content, why] of wrong) {
      const file = join(directory, "wrong");
      if (content !== null) put("wrong", content);
      assert.throws(() => new Secrets({ PASSWORD: { file } }, undefined).readValues(), unreadable(file, why));
    }
    assert.throws(
      () => new Secrets({ PASSWORD: { file: directory } }, undefined).readValues(),
      unreadable(directory, /EISDIR/),
    );
    assert.throws(
      () => new Secrets({ PASSWORD: { credential: "db" } }, undefined).readValues(),
      unreadable("db", /LoadCredential=db:/),
    );
    const inside = join(directory, "db");
    assert.throws(
      () => new Secrets({ PASSWORD: { credential: "db" } }, directory).readValues(),
      unreadable(inside, /ENOENT/),
    );
  });

  function unreadable(path: string, why: RegExp) {
    return ({ code, message }: { code: string; message: string }) => {
      assert.equal(code, "SECRET_UNREADABLE");
      for (const part of [/the secret PASSWORD can't be read/, why]) assert.match(message, part);
      assert(message.includes(path), message);
      assert(!message.includes("top"), message);
      return true;
    };
  }

  it("is replaced in a text, also where it has another one in it, is cut at the front, or is in its lines", () => {
    const sources = {
      SHORT: { file: put("short", "abc") },
      PIN: { file: put("pin", "swordfish") },
      PASSWORD: { file: put("password", "swordfish-1\n") },
      KEY: { file: put("key", `${KEY_LINES.join("\n")}\n`) },
    };
    const secrets = new Secrets(sources, undefined);
    assert.equal(secrets.redact("is it swordfish or swordfish-1?"), "is it [PIN] or [PASSWORD]?");
    assert.equal(secrets.redact("abc of the sea"), "abc of the sea");
    assert.equal(secrets.redact("fish-1 was wrong | swordfish-1"), "[PASSWORD] was wrong | [PASSWORD]");
    assert.equal(secrets.redact(`key: ${KEY_LINES.join(" | ")}`), "key: [KEY] | [KEY] | [KEY]");
    assert.equal(secrets.redact(`{"key":"${KEY_LINES.join("\\n")}"}`), '{"key":"[KEY]\\n[KEY]\\n[KEY]"}');
  });

  it("is replaced also when the file has another one since, or is gone", () => {
    const file = put("password", PASSWORD);
    const secrets = new Secrets({ PASSWORD: { file } }, undefined);
    secrets.readValues();
    put("password", NEXT_PASSWORD);
    assert.equal(secrets.redact(`${PASSWORD} ${NEXT_PASSWORD}`), "[PASSWORD] [PASSWORD]");
    rmSync(file);
    assert.equal(secrets.redact(`${PASSWORD} ${NEXT_PASSWORD}`), "[PASSWORD] [PASSWORD]");
  });
});

describe("secrets of an app", () => {
  const hosts = useHosts();
  const tells = (...names: string[]) => [process.execPath, "tells.mjs", ...names];
  const environment = () => ({ CONTROL_DIRECTORY: directory });
  const settings = (secrets: Settings, ...told: string[]) => ({
    app: { command: tells(...told), workers: 2, environment: environment(), secrets },
  });
  const release = (host: Host, version: string) => makeRelease(host.archives, version, { app: "tells.mjs" });
  const environmentOf = async (host: Host, slot: string) =>
    (await host.get<{ env: Record<string, string | undefined> }>(slot)).env;

  /** All that is told of a host, and all that is kept of it but for the workers' own output. */
  async function told(host: Host): Promise<Record<string, string>> {
    const kvm = new Kvm(await host.bus());
    const values: string[] = [];
    for (const bucket of Object.values(buckets)) {
      const kv = await kvm.open(bucket).catch(() => null);
      for await (const key of (await kv?.keys()) ?? []) values.push((await kv?.get(key))?.string() ?? "");
    }
    return {
      log: host.log(),
      status: JSON.stringify(await host.status()),
      workers: JSON.stringify(await host.workers()),
      events: JSON.stringify(await host.events()),
      journal: readFileSync(join(host.state, "journal.json"), "utf8"),
      buckets: values.join("\n"),
    };
  }

  function keepsSilent(all: Record<string, string>, ...secrets: string[]): void {
    for (const [where, text] of Object.entries(all)) {
      assert(text.length > 0, `something is in ${where}`);
      for (const secret of secrets) assert(!text.includes(secret), `${secret} is in ${where}: ${text}`);
    }
  }

  it("are in its environment, and nowhere in what is told and kept, also when the app writes them and ends", async () => {
    const [password, key] = [put("password", `${PASSWORD}\n`), put("key", KEY_LINES.join("\n"))];
    const host = await hosts.start(settings({ PASSWORD: { file: password }, KEY: { file: key } }, "PASSWORD", "KEY"));
    const heard: string[] = [];
    const subscription = (await host.bus()).subscribe(">", {
      callback: (_, message) => void heard.push(message.string()),
    });
    hosts.onEnd(() => subscription.unsubscribe());
    await host.installed("a", await release(host, "1"));
    const env = await environmentOf(host, "a");
    assert.deepEqual([env.PASSWORD, env.KEY], [PASSWORD, KEY_LINES.join("\n")]);

    put("end", "");
    const { lastError } = await host.untilOrder("b", await host.install("b", await release(host, "2")));
    assert.equal(lastError?.code, "WORKERS_EXITED");
    assert.match(lastError.message, /the password is \[PASSWORD\].*the password is \[KEY\] \| \[KEY\] \| \[KEY\]/);

    // What its earlier workers wrote stands in the output of the next ones.
    put("password", NEXT_PASSWORD);
    const again = await host.untilOrder("b", await host.install("b", await release(host, "3")));
    assert.equal(again.lastError?.code, "WORKERS_EXITED");
    const written = readFileSync(join(host.state, "logs", "b-0.log"), "utf8");
    for (const secret of [PASSWORD, NEXT_PASSWORD]) assert(written.includes(secret), "the app did write it");
    await until("it was told on the bus", () => heard.some((text) => text.includes("[PASSWORD]")));
    keepsSilent({ ...(await told(host)), bus: heard.join("\n") }, PASSWORD, NEXT_PASSWORD, ...KEY_LINES);
  });

  it("have a new value for the next worker that is started, and the old one for those that run", async () => {
    const file = put("password", PASSWORD);
    const host = await hosts.start(settings({ PASSWORD: { file } }));
    await host.installed("a", await release(host, "1"));
    const [pid] = (await host.pids("a")) as [number];
    put("password", NEXT_PASSWORD);
    assert.equal((await environmentOf(host, "a")).PASSWORD, PASSWORD);
    process.kill(pid, "SIGKILL");
    await host.untilSlot("a", "has another worker", ({ workers }) => workers.restarts === 1 && workers.ready === 1);
    assert.equal((await environmentOf(host, "a")).PASSWORD, NEXT_PASSWORD);
    keepsSilent(await told(host), PASSWORD, NEXT_PASSWORD);
  });

  it("that can't be read fail an install, which names the variable and the path; what serves serves on", async () => {
    const file = put("password", PASSWORD);
    const host = await hosts.start(settings({ PASSWORD: { file } }));
    await host.installed("a", await release(host, "1"));
    const pids = await host.pids("a");
    rmSync(file);
    const { order, lastError } = await host.untilOrder("b", await host.install("b", await release(host, "2")));
    assert.deepEqual([order?.outcome, lastError?.code], ["failed", "SECRET_UNREADABLE"]);
    assert.equal(lastError?.field, "app.secrets.PASSWORD");
    for (const part of ["PASSWORD", file]) assert(lastError?.message.includes(part), lastError?.message);
    assert.deepEqual(await host.pids("a"), pids);
    // A worker that ends meanwhile is started when the file is there again.
    process.kill(pids[0] as number, "SIGKILL");
    await until("it is tried", () => /worker could not be started/.test(host.log()));
    put("password", NEXT_PASSWORD);
    await host.untilSlot("a", "has a worker again", ({ workers }) => workers.ready === 1);
    assert.equal((await environmentOf(host, "a")).PASSWORD, NEXT_PASSWORD);
  });

  it("may be credentials of systemd, whose directory is not told to the app", async () => {
    const credentials = join(directory, "credentials");
    mkdirSync(credentials);
    put("credentials/db-password", PASSWORD);
    process.env.CREDENTIALS_DIRECTORY = credentials;
    hosts.onEnd(() => delete process.env.CREDENTIALS_DIRECTORY);
    const host = await hosts.start(settings({ PASSWORD: { credential: "db-password" } }));
    await host.installed("a", await release(host, "1"));
    const env = await environmentOf(host, "a");
    assert.deepEqual([env.PASSWORD, env.CREDENTIALS_DIRECTORY], [PASSWORD, undefined]);
    keepsSilent(await told(host), PASSWORD);

    delete process.env.CREDENTIALS_DIRECTORY;
    await host.endAgent("SIGUSR2");
    await host.startAgent();
    const { lastError } = await host.untilOrder("b", await host.install("b", await release(host, "2")));
    assert.equal(lastError?.code, "SECRET_UNREADABLE");
    assert.match(lastError.message, /PASSWORD.*LoadCredential=db-password:/);
  });

  it("are not repeated by the configuration's check, however they got into the file", async () => {
    const wrong: [string, RegExp][] = [
      [`PASSWORD = "${PASSWORD}"`, /app\.secrets\.PASSWORD/],
      [`PASSWORD = { value = "${PASSWORD}" }`, /app\.secrets\.PASSWORD/],
      [`PASSWORD = { file = "${PASSWORD}" }`, /app\.secrets\.PASSWORD.*absolute path/],
      [`PASSWORD = { credential = "../${PASSWORD}" }`, /app\.secrets\.PASSWORD.*without a \//],
      [`PASSWORD = ["${PASSWORD}"]`, /app\.secrets\.PASSWORD/],
      [`PASSWORD = "${PASSWORD}`, /is not TOML/],
      [`PORT = { file = "/x" }\nPASSWORD = "${PASSWORD}"`, /app\.secrets/],
    ];
    for (const [secrets, why] of wrong) {
      const file = put("slotd.toml", `service = "web"\n[app]\ncommand = ["x"]\n[app.secrets]\n${secrets}\n`);
      const { code, stdout, stderr } = await slotd("--config", file, "--check-config");
      assert.equal(code, 2, secrets);
      assert.match(stderr, why);
      assert(!(stdout + stderr).includes(PASSWORD), stderr);
    }
  });
});
