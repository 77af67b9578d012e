import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { chmod, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pack as packJob } from "../../../agent/pack/pack.ts";
import { scratch } from "../cli/support/scratch.ts";
import { onTerminal, slotctl } from "../cli/support/slotctl.ts";
import { fill, pack } from "./support.ts";

const bad: Record<string, { make(app: string): unknown; path: RegExp; rule: RegExp; code?: string }> = {
  "a link that leads outside": {
    make: (app) => symlinkSync("../../etc/passwd", join(app, "sub/out")),
    path: /"sub\/out"/,
    rule: /leads outside/,
  },
  "an absolute link": { make: (app) => symlinkSync("/etc", join(app, "etc")), path: /"etc"/, rule: /absolute/ },
  "a FIFO": { make: (app) => execFileSync("mkfifo", [join(app, "pipe")]), path: /"pipe"/, rule: /not a file/ },
  "names that differ only in case": {
    make: (app) => writeFileSync(join(app, "SERVER.js"), ""),
    path: /"server.js"/,
    rule: /differs only in case/,
  },
  "a setuid program": {
    make: (app) => chmod(join(app, "server.js"), 0o4755),
    path: /"server.js"/,
    rule: /setuid/,
  },
  "a name with a control character": {
    make: (app) => writeFileSync(join(app, "a\nb"), ""),
    path: /"a\\nb"/,
    rule: /control character/,
  },
  "a name that is not UTF-8": {
    make: (app) => writeFileSync(Buffer.from(`${app}/\xff`, "latin1"), ""),
    path: /"\ufffd"/,
    rule: /not UTF-8/,
  },
  "a slotd.toml that breaks a rule": {
    make: (app) => writeFileSync(join(app, "slotd.toml"), "[app]\nport = 1\n"),
    path: /app\.port/,
    rule: /not a key that a release may set/,
    code: "RELEASE_CONFIG",
  },
};

describe("slotctl pack", () => {
  for (const [what, { make, path, rule, code = "PACK_REFUSED" }] of Object.entries(bad)) {
    it(`refuses ${what}, naming the path and the rule, and writes nothing`, async (t) => {
      const dir = await scratch(t);
      const app = join(dir, "app");
      await fill(app, { "server.js": "x", "sub/a": "a" });
      await make(app);
      const ended = await slotctl(t, ["pack", app, "--version", "1", "--to", join(dir, "out"), "--json"]);
      assert.equal(ended.exitCode, 1);
      const { error } = JSON.parse(ended.stdout);
      assert.equal(error.code, code);
      assert.match(error.message, path);
      assert.match(error.message, rule);
      assert.equal(existsSync(join(dir, "out")), false);
    });
  }

  const changes: Record<string, (file: string) => void> = {
    grows: (file) => appendFileSync(file, "more"),
    "has other bytes": (file) => writeFileSync(file, "y".repeat(1000)),
    "is removed": (file) => rmSync(file),
    "becomes a link": (file) => {
      rmSync(file);
      symlinkSync("a", file);
    },
    "becomes a directory": (file) => {
      rmSync(file);
      mkdirSync(file);
    },
  };

  for (const [what, change] of Object.entries(changes)) {
    it(`fails on a file that ${what} while it is packed, names the file and leaves nothing behind`, async (t) => {
      const dir = await scratch(t);
      const app = join(dir, "app");
      await fill(app, { a: "a", b: "x".repeat(1000), c: "c" });
      let changed = false;
      const packing = packJob({
        directory: app,
        name: "app",
        version: "1",
        formats: ["gz", "zst"],
        bases: [],
        to: join(dir, "out"),
        mtimeSeconds: null,
        onProgress(step) {
          if (changed || step === "reading") return;
          changed = true;
          change(join(app, "b"));
        },
      });
      await assert.rejects(packing, { code: "PACK_REFUSED", message: /"b" .*(changed|no longer a file)/ });
      assert.deepEqual(await readdir(join(dir, "out")), []);
    });
  }

  it("leaves out what .slotdignore lists, as git would", async (t) => {
    const dir = await scratch(t);
    const app = join(dir, "app");
    await fill(app, { "a.log": "", "keep.log": "", "sub/b.log": "", "node_modules/x/y": "", "sub/node_modules/z": "" });
    await fill(app, { "top.txt": "", "sub/top.txt": "", "A.LOG": "", "#note": "", "server.js": "" });
    await fill(app, { ".slotdignore": "# comment\n*.log\n!keep.log\nnode_modules/\n/top.txt\n\\#note\nbad\n" });
    // Ignored files need not be packable.
    await symlink("/etc", join(app, "bad"));
    const { description } = await pack(t, [app, "--version", "1", "--to", dir]);
    const names = execFileSync("tar", ["-tf", join(dir, description.archives[0]?.file as string)], {
      encoding: "utf8",
    });
    assert.deepEqual(names.trim().split("\n"), ["A.LOG", "keep.log", "server.js", "sub/", "sub/top.txt"]);
  });

  it("reports wrong usage before it reads anything", async (t) => {
    const dir = await scratch(t);
    const app = join(dir, "App Dir");
    await fill(app, { a: "a" });
    const cases: [string[], RegExp][] = [
      [[app], /--version/],
      [[app, "--version", "../1"], /--version must match/],
      [[app, "--version", "1"], /--name must match/],
      [[join(dir, "nowhere"), "--version", "1"], /does not exist: pack takes the directory/],
      [[app, "--version", "1", "--name", "x", "--format", "rar"], /--format must be gz or zst/],
      [[app, "--version", "1", "--name", "x", "--sign", join(dir, "none")], /--sign .*ENOENT/],
      [[app, "--version", "1", "--name", "x", "--to", join(app, "dist")], /--to .* is inside the packed directory/],
    ];
    for (const [args, message] of cases) {
      const ended = await slotctl(t, ["pack", "--to", join(dir, "out"), ...args]);
      assert.deepEqual([ended.exitCode, ended.stdout], [2, ""], ended.stderr);
      assert.match(ended.stderr, message);
    }
    assert.equal(existsSync(join(dir, "out")), false);
    await writeFile(join(app, ".slotdignore"), "dist/\n");
    await mkdir(join(app, "dist"));
    const within = [app, "--version", "1", "--name", "x", "--to", join(app, "dist")];
    const { description } = await pack(t, within);
    assert.deepEqual((await pack(t, within)).description, description);
  });

  it("shows progress only on a terminal", async (t) => {
    const dir = await scratch(t);
    const app = join(dir, "app");
    await fill(app, { a: "a".repeat(100_000) });
    const shown = await onTerminal(t, ["pack", app, "--version", "1", "--to", dir]).ended;
    assert.match(shown.stdout, /packing app-1\.tar\.gz 100%/);
    const quiet = await slotctl(t, ["pack", app, "--version", "1", "--to", dir]);
    assert.equal(quiet.stderr, "");
    assert.match(quiet.stdout, /app-1\.tar\.gz .* sha256 [0-9a-f]{64}\n/);
  });
});
