import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { repository } from "../support/release.ts";
import { buildPackage, packageVersion } from "../support/systemd/package.ts";

const run = promisify(execFile);
let deb: string;
let unpacked: string;

describe("the package", () => {
  before(async () => {
    deb = await buildPackage();
    unpacked = mkdtempSync(join(tmpdir(), "slotd-deb-"));
    await run("dpkg-deb", ["--raw-extract", deb, unpacked]);
  });

  after(() => rmSync(unpacked, { recursive: true, force: true }));

  const script = (...args: string[]) => run(join(repository, "scripts/package"), args);
  const programs = { slotd: 8, slotctl: 1, "slotd-controller": 1, "slotd-edge": 8 };
  /** What a program of the package says, started by the package's own runtime. */
  const say = async (program: string, ...args: string[]) => {
    const file = join(unpacked, `usr/lib/slotd/${program}.js`);
    return (await run(join(unpacked, "usr/lib/slotd/bin/node"), [file, ...args], { cwd: unpacked })).stdout;
  };
  const manPage = async (name: string, section: number) =>
    (await run("zcat", [join(unpacked, `usr/share/man/man${section}/${name}.${section}.gz`)])).stdout;

  it("the same sources give the same bytes, and the last line says what was built", async () => {
    const again = mkdtempSync(join(tmpdir(), "slotd-deb-again-"));
    try {
      const { stdout } = await script("--json", "--out", again);
      const built = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
      assert.equal(built.version, packageVersion);
      assert.equal(built.package, join(again, `slotd_${built.version}_${built.arch}.deb`));
      const bytes = readFileSync(built.package);
      assert.equal(built.bytes, bytes.length);
      assert.ok(bytes.equals(readFileSync(deb)), "two builds are equal");
    } finally {
      rmSync(again, { recursive: true, force: true });
    }
  });

  it("wrong usage ends with 2", async () => {
    for (const args of [["--no-such"], ["--version"], ["--version", "1 2"], ["--version", "../x"]])
      await assert.rejects(script(...args), { code: 2 });
  });

  it("everything belongs to root, and only root may write", async () => {
    const { stdout } = await run("dpkg-deb", ["--contents", deb]);
    for (const line of stdout.trimEnd().split("\n")) {
      const [mode = "", owner] = line.split(/\s+/);
      assert.equal(owner, "root/root", line);
      assert.match(mode, /^([d-])rw[x-]r-[x-]r-[x-]$/, line);
    }
  });

  it("the agent is started with the options of Node that its program asks for", () => {
    const options = /--\S+/.exec(readFileSync(join(repository, "agent/main.ts"), "utf8").split("\n")[0] ?? "")?.[0];
    assert.ok(options);
    const started = (program: string) => readFileSync(join(unpacked, "usr/bin", program), "utf8").split("\n")[1];
    assert.equal(started("slotd"), `exec /usr/lib/slotd/bin/node ${options} /usr/lib/slotd/slotd.js "$@"`);
    assert.equal(started("slotctl"), 'exec /usr/lib/slotd/bin/node /usr/lib/slotd/slotctl.js "$@"');
  });

  it("each proxy that slotd-edge steers is within its one file", async () => {
    const directory = mkdtempSync(join(tmpdir(), "slotd-deb-edge-"));
    try {
      const file = join(directory, "edge.toml");
      const rendered = (proxy: string) => {
        writeFileSync(file, `service = "web"\nproxy = { ${proxy}, directory = "${directory}/table" }\n`);
        return say("slotd-edge", "--config", file, "--render-base");
      };
      assert.match(
        await rendered(`kind = "haproxy", socket = "${directory}/socket"`),
        /^frontend slotd\.web\.front from slotd\.web$/m,
      );
      assert.match(await rendered('kind = "varnish"'), /^vcl 4\.[01];$/m);
      writeFileSync(file, 'service = "web"\nproxy = { kind = "builtin", port = 8080 }\n');
      assert.match(await say("slotd-edge", "--config", file, "--check-config"), /good .*proxy builtin/);
      assert.equal((await say("slotd-edge", "--version")).trim(), packageVersion);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("the control file names what is needed, and the sums are those of the files", async () => {
    const { stdout } = await run("dpkg-deb", ["--field", deb]);
    assert.match(stdout, new RegExp(`^Package: slotd\nVersion: ${packageVersion}\n`));
    assert.match(stdout, /^Depends: .*systemd \(>= 252\)/m);
    await run("md5sum", ["--check", "--quiet", "DEBIAN/md5sums"], { cwd: unpacked });
    for (const name of ["postinst", "prerm", "postrm"]) {
      const text = readFileSync(join(unpacked, "DEBIAN", name), "utf8");
      assert.match(text, /^set -e$/m);
      await run("sh", ["-n", join(unpacked, "DEBIAN", name)]);
    }
  });

  it("what is bundled is named with its licence", () => {
    const copyright = readFileSync(join(unpacked, "usr/share/doc/slotd/copyright"), "utf8");
    for (const name of ["zod", "pino", "@nats-io/transport-node", "koffi", "undici", "Node.js"])
      assert.match(copyright, new RegExp(`^Comment: ${name}( |$)`, "m"));
  });

  it("man pages have no faults, and have every key of the configurations", async () => {
    const pages = { ...programs, "slotd.toml": 5, "slotd-edge.toml": 5 };
    for (const [name, section] of Object.entries(pages)) {
      const page = join(unpacked, `usr/share/man/man${section}/${name}.${section}.gz`);
      assert.ok(existsSync(page), page);
      if (existsSync("/usr/bin/man")) {
        const { stderr } = await run("man", ["--warnings", "--local-file", page], {
          env: { ...process.env, LC_ALL: "C.UTF-8" },
        });
        assert.equal(stderr, "");
      }
    }
    const documents = { "slotd.toml": ["config"], "slotd-edge.toml": ["edge", "edge-varnish", "edge-haproxy"] };
    for (const [name, files] of Object.entries(documents)) {
      const page = await manPage(name, 5);
      for (const file of files) {
        const text = readFileSync(join(repository, `docs/${file}.md`), "utf8");
        const keys = [...text.matchAll(/^\| (`[a-z_.]+`(?:, `[a-z_.]+`)*) \|/gm)];
        assert.ok(keys.length > 3, file);
        for (const [, names = ""] of keys)
          for (const key of names.replaceAll("`", "").split(", ")) assert.ok(page.includes(`\\fB${key}\\fR`), key);
      }
    }
  });

  it("has every document, and what the documents link to", () => {
    const doc = join(unpacked, "usr/share/doc/slotd");
    const pages = readdirSync(join(repository, "docs")).filter((name) => name.endsWith(".md"));
    const documents = [
      ...pages.map((name) => `docs/${name}`),
      "README.md",
      "systemd/README.md",
      "examples/web/README.md",
    ];
    for (const document of documents) {
      const text = readFileSync(join(doc, document), "utf8");
      assert.equal(text, readFileSync(join(repository, document), "utf8"), document);
      for (const [, target = ""] of text.matchAll(/\]\((?!https?:)([^)#\s]+)/g))
        assert.ok(existsSync(join(doc, document, "..", target)), `${document}: ${target}`);
    }
    assert.ok(pages.length > 10, "they are found");
  });

  it("completions are sound, and know every verb and option; so do the man pages", async () => {
    const bash = join(unpacked, "usr/share/bash-completion/completions");
    const zsh = join(unpacked, "usr/share/zsh/vendor-completions");
    assert.deepEqual(readdirSync(zsh).sort(), ["_slotctl", "_slotd", "_slotd-controller", "_slotd-edge"]);
    for (const [program, section] of Object.entries(programs)) {
      await run("bash", ["-n", join(bash, program)]);
      const help = await say(program, "--help");
      const verbs = [...help.matchAll(/^ {2}([a-z][a-z-]*)(?: [[<].*?)? {2}/gm)].map(([, verb = ""]) => verb);
      const helps = [help];
      for (const verb of verbs) if (verb !== "help") helps.push(await say(program, verb, "--help"));
      const options = [...helps.join("\n").matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, option = ""]) => option);
      assert.ok(options.length > 2, help);
      const page = await manPage(program, section);
      for (const word of new Set([...verbs, ...options])) {
        for (const file of [join(bash, program), join(zsh, `_${program}`)])
          assert.match(readFileSync(file, "utf8"), new RegExp(`(^|[^a-z-])${word}([^a-z-]|$)`), `${word} in ${file}`);
        if (word !== "help")
          assert.match(page.replaceAll("\\-", "-"), new RegExp(`(^|[^a-z-])${word}([^a-z-]|$)`, "m"), word);
      }
    }
  });

  it("no unit is more exposed than systemd/README.md states", async () => {
    const readme = readFileSync(join(repository, "systemd/README.md"), "utf8");
    for (const name of ["slotd@.service", "slotd-edge@.service"]) {
      const unit = join(repository, "systemd", name);
      const { stdout } = await run("systemd-analyze", [
        "security",
        "--offline=yes",
        "--no-pager",
        "--threshold=40",
        unit,
      ]);
      const stated = new RegExp(`systemd/${name.replace(".", "\\.")}\` says (\\d\\.\\d) \\(OK\\)`).exec(readme)?.[1];
      assert.ok(stated, name);
      assert.equal(/Overall exposure level for \S+: (\d\.\d) OK/.exec(stdout)?.[1], stated);
    }
  });
});
