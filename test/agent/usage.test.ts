import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { PATIENCE_MS } from "../support/until.ts";

const PROGRAMS = { slotd: "agent/main.js", slotctl: "agent/cli/main.js", "slotd-edge": "edge/main.js" } as const;
type Program = keyof typeof PROGRAMS;

interface Ended {
  code: unknown;
  stdout: string;
  stderr: string;
}

/** Words of zod and of Node that help nobody. */
const JARGON = /Invalid|expected \w+, received|Too (small|big)|ZodError|undefined|\[object/;

const directory = mkdtempSync(join(tmpdir(), "slotd-usage-"));

function run(program: Program, ...args: string[]): Promise<Ended> {
  const file = fileURLToPath(new URL(`../../${PROGRAMS[program]}`, import.meta.url));
  const options = { timeout: PATIENCE_MS, killSignal: "SIGKILL", cwd: directory } as const;
  return new Promise((resolve) => {
    execFile(process.execPath, [file, ...args], options, (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, stdout, stderr }),
    );
  });
}

function written(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const APP = `[app]\ncommand = ["node"]\n`;
const EDGE = `service = "web"\nproxy = { kind = "builtin", port = 8099 }\n`;
/** Four mistakes in one file, of four kinds. */
const FOUR = `service = "Web!"\nstag = "prod"\n[slots]\na = { port = "80" }\n[health]\nrise = 1.5\n${APP}`;

after(() => rmSync(directory, { recursive: true, force: true }));

describe("wrong usage", () => {
  /** The command line, and what is said of it. Everything ends with 2. */
  const lines: [program: Program, args: string[], says: RegExp][] = [
    [
      "slotd",
      ["--confg", "f"],
      /^error USAGE: unknown option '--confg' \(Did you mean --config\?\); see slotd --help\n$/,
    ],
    ["slotd", [], /^error USAGE: --config <file> is missing; see slotd --help\n$/],
    ["slotd", ["--config"], /^error USAGE: option '-c, --config <file>' argument missing; see slotd --help\n$/],
    ["slotd", ["web.toml"], /^error USAGE: too many arguments: expected 0 arguments but got 1; see slotd --help\n$/],
    ["slotd", ["--config", "f", "--json"], /^error USAGE: --json goes with --check-config; .*see slotd --help\n$/],
    ["slotctl", ["statsu"], /^error USAGE: unknown command 'statsu' \(Did you mean status\?\); see slotctl --help\n$/],
    [
      "slotctl",
      ["status", "--sockt", "x"],
      /^error USAGE: .*'--sockt'; did you mean --socket\?; see slotctl status --help\n$/,
    ],
    ["slotctl", ["restart"], /^error USAGE: missing required argument 'slot'; see slotctl restart --help\n$/],
    ["slotctl", ["logs", "-n", "many"], /^error USAGE: .*It takes a whole number; see slotctl logs --help\n$/],
    // The directory comes first: a name would be made of it.
    ["slotctl", ["pack", "App.py", "--version", "1"], /^error USAGE: App\.py does not exist: pack takes the directory/],
    ["slotctl", ["pack", "four.toml", "--version", "1"], /^error USAGE: four\.toml is not a directory: pack takes the/],
  ];
  for (const [program, args, says] of lines) {
    it(`${[program, ...args].join(" ")} says what is wrong and where help is`, async () => {
      written("four.toml", FOUR);
      const { code, stderr } = await run(program, ...args);
      assert.match(stderr.replace(/^Usage:[\s\S]*(?=error )/, ""), says);
      assert.equal(code, 2);
    });
  }

  /** A configuration, and a line for each of its mistakes. */
  const files: [what: string, program: "slotd" | "slotd-edge", text: string, says: RegExp[]][] = [
    [
      "four mistakes of four kinds",
      "slotd",
      FOUR,
      [
        /service must match \[a-z0-9\]\S*, but is "Web!"$/,
        /slots\.a\.port must be a number, but is "80"$/,
        /health\.rise must be a whole number, but is 1\.5$/,
        /stag is not a known key; did you mean stage\?$/,
      ],
    ],
    ["no service", "slotd", APP, [/service is required: it must be text in quotes$/]],
    [
      "one port twice",
      "slotd",
      `service = "web"\n${APP}[slots]\na = { port = 8000 }\nb = { port = 8000 }\n`,
      [/slots\.b\.port must differ from the port of slot a, but is 8000$/],
    ],
    [
      "values of the wrong kind",
      "slotd",
      `service = "web"\nbind = "localhost"\nslots = 5\n[app]\ncommand = "node x"\nuser = true\n[logs]\nlevel = "loud"\n`,
      [
        /bind must be an IPv4 address or an IPv6 address, but is "localhost"$/,
        /slots must be a table, but is 5$/,
        /app\.command must be a list, \[ … \], but is "node x"$/,
        /app\.user must be text in quotes or a number, but is true$/,
        /logs\.level must be one of "trace", .*"fatal", but is "loud"$/,
      ],
    ],
    [
      "values out of bounds",
      "slotd",
      `service = "web"\n[app]\ncommand = []\nworkers = 0\n[releases]\nmax_entries = 0\nkeep = 9999\n`,
      [
        /app\.command must not be empty, but is \[\]$/,
        /app\.workers must be at least 1, but is 0$/,
        /releases\.max_entries must be more than 0, but is 0$/,
        /releases\.keep must be at most 1000, but is 9999$/,
      ],
    ],
    [
      "a slot's name that is none",
      "slotd",
      `service = "web"\n${APP}[slots."A B"]\nport = 1\n`,
      [/slots\.A B has a name that must/],
    ],
    [
      "what this host does not have",
      "slotd",
      `service = "web"\n[app]\ncommand = ["nodde", "x"]\nuser = "nobodyy"\nsecrets = { A = { file = "/none/a" } }\n`,
      [
        /app\.command can't be run: nodde is not on the PATH/,
        /app\.user can't be used: .*nobodyy/,
        /app\.secrets\.A can't/,
      ],
    ],
    [
      "a program that is not there",
      "slotd",
      `service = "web"\n[app]\ncommand = ["/none/x"]\n`,
      [/command .*\/none\/x: it does not exist$/],
    ],
    [
      "an unknown key of an edge",
      "slotd-edge",
      `${EDGE}nameing = {}\n`,
      [/nameing is not a known key; did you mean naming\?$/],
    ],
    [
      "an unknown key of an edge's proxy, and a wrong port",
      "slotd-edge",
      EDGE.replace("port = 8099", 'prt = 1, port = "x"'),
      [/proxy\.port must be a number, but is "x"$/, /proxy\.prt is not a known key; did you mean port\?$/],
    ],
  ];
  for (const [what, program, text, says] of files) {
    it(`${program} --check-config names each mistake at once, in plain words: ${what}`, async () => {
      const path = written("config.toml", text);
      const { code, stdout, stderr } = await run(program, "--config", path, "--check-config");
      const told = stderr.trimEnd().split("\n");
      assert.equal(told.length, says.length, stderr);
      for (const [i, each] of says.entries()) assert.match(told[i] as string, each);
      for (const line of told) assert.match(line, /^error CONFIG_INVALID: configuration: /);
      assert.doesNotMatch(stderr, JARGON);
      assert.deepEqual([code, stdout], [2, ""]);
    });
  }

  it("slotd --check-config --json says the same as JSON", async () => {
    const good = await run(
      "slotd",
      "--config",
      written("good.toml", `service = "web"\n${APP}`),
      "--check-config",
      "--json",
    );
    assert.deepEqual([good.code, JSON.parse(good.stdout)], [0, { good: true, service: "web" }]);
    const bad = await run("slotd", "--config", written("four.toml", FOUR), "--check-config", "--json");
    const { good: isGood, error } = JSON.parse(bad.stdout);
    assert.deepEqual([bad.code, isGood, error.code, error.field], [2, false, "CONFIG_INVALID", "service"]);
    assert.deepEqual(
      error.mistakes.map(({ key }: { key: string }) => key),
      ["service", "slots.a.port", "health.rise", "stag"],
    );
  });

  it("doctor has a check with a fix for each mistake, and none that names the file twice", async () => {
    const four = await run("slotctl", "doctor", "--config", written("four.toml", FOUR));
    assert.match(
      four.stdout,
      /health\.rise must be a whole number, but is 1\.5\n +→ fix health\.rise in \S+four\.toml\n/,
    );
    assert.match(four.stdout, /4 checks: 4 failed/);
    const none = await run("slotctl", "doctor", "--config", "/nope");
    assert.match(
      none.stdout,
      /\/nope can't be read .*\n +→ see that the file exists and that you may read it, or name/,
    );
    const toml = await run("slotctl", "doctor", "--config", written("half.toml", "service = "));
    assert.match(toml.stdout, /half\.toml:1:\d+ is not TOML.*\n +→ fix the syntax there\n/);
  });
});

describe("help", () => {
  const verbs = "status slots workers logs events drain undrain restart doctor releases pack keygen sign verify";
  for (const [program, verb] of [["slotd"], ["slotctl"], ...verbs.split(" ").map((each) => ["slotctl", each])]) {
    it(`of ${program} ${verb ?? ""} fits 80 columns, and breaks only where a line is full`, async () => {
      const { code, stdout } = await run(program as Program, ...(verb ? [verb] : []), "--help");
      assert.equal(code, 0);
      const printed = stdout.split("\n");
      for (const [i, line] of printed.entries()) {
        assert.ok(line.length <= 80, line);
        const [next = ""] = printed[i + 1]?.split(" ") ?? [];
        const isParagraph = /^\S/.test(line) && /^\S/.test(printed[i + 1] ?? "");
        if (isParagraph) assert.ok(line.length + 1 + next.length > 80, `${line}\n${printed[i + 1]}`);
      }
    });
  }
});
