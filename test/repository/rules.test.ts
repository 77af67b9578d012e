import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { errorCodes } from "../../protocol/error-codes.ts";
import { repository } from "../support/release.ts";
import { code, sources } from "./sources.ts";

const PRODUCT = ["protocol", "daemon", "agent", "controller-stub", "edge"];

/** Where something is read that only a main.ts reads, and why. */
const exceptions: Record<string, string> = {
  "agent/workers/process/launch.ts": "a worker inherits the agent's environment",
  "agent/workers/process/node-listen.cts": "it runs in the app's process, and is told by its environment",
};

function found(pattern: RegExp, ...folders: string[]): string[] {
  return sources(...folders).flatMap(({ path, text }) => {
    const lines = code(text).split("\n");
    return lines.flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}`] : []));
  });
}

describe("the rules of the house", () => {
  it("only main.ts reads the environment and the arguments, and ends the process", () => {
    const places = found(/\bprocess\.(env|argv|exit)\b/, ...PRODUCT);
    const elsewhere = places.filter((place) => !/(^|\/)main\.ts:/.test(place));
    assert.deepEqual(
      elsewhere.filter((place) => !(place.replace(/:\d+$/, "") in exceptions)),
      [],
    );
    for (const path of Object.keys(exceptions))
      assert(
        elsewhere.some((place) => place.startsWith(`${path}:`)),
        `${path} needs no exception`,
      );
  });

  it("main.ts wires, in under 80 lines", () => {
    for (const { path, text } of sources(...PRODUCT)) {
      if (/(^|\/)main\.ts$/.test(path)) assert(text.split("\n").length <= 80, path);
    }
  });

  it("nothing is left to do, and no test is left out", () => {
    // The words that are looked for; so this file is not looked at.
    const marks = /\b(TODO|FIXME|XXX)\b/;
    for (const { path, text } of sources(...PRODUCT, "test", "scripts", "examples")) {
      if (path !== "test/repository/rules.test.ts") assert(!marks.test(text), path);
    }
    assert.deepEqual(found(/\b(it|describe|test)\.(only|skip|todo)\b|\bonly: true|\bskip: true/, "test"), []);
  });

  it("every test stands in a describe, and is called it", () => {
    for (const { path, text } of sources("test").filter((source) => source.path.endsWith(".test.ts"))) {
      const [, names = ""] = /^import \{([^}]*)\} from "node:test";$/m.exec(text) ?? [];
      assert.doesNotMatch(names, /\btest\b/, path);
      assert.doesNotMatch(text, /^it\(/m, path);
    }
  });

  it("no test waits for a time instead of for an event, unless it says why", () => {
    const sleeps = /await (sleep|delay|setTimeout)\(/;
    for (const { path, text } of sources("test").filter((source) => source.path.endsWith(".test.ts"))) {
      const lines = text.split("\n");
      for (const [i, line] of lines.entries()) {
        if (sleeps.test(line)) assert.match(lines[i - 1]?.trim() ?? "", /^\/\/ /, `${path}:${i + 1}`);
      }
    }
  });
});

/** What stands at the repository's top. */
const TOP = [
  ...[".ci", ".gitignore", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE", "README.md", "agent", "biome.json", "bus"],
  ...["controller-stub", "daemon", "docs", "edge", "examples", "package-lock.json", "package.json", "protocol"],
  ...["scripts", "systemd", "test", "tsconfig.json"],
];

describe("the repository's top", () => {
  it("has nothing but what belongs there", () => {
    const listed = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], {
      cwd: repository,
      encoding: "utf8",
    });
    const found = new Set(listed.split("\n").map((path) => path.split("/")[0] ?? ""));
    assert.deepEqual(
      [...found].filter((name) => name !== "" && !TOP.includes(name)),
      [],
    );
  });
});

describe("docs/errors.md", () => {
  const page = readFileSync(join(repository, "docs/errors.md"), "utf8");

  it("has a row for every code, with what it means and what to do", () => {
    for (const [name, [meaning, next]] of Object.entries(errorCodes)) {
      assert(page.includes(`| \`${name}\` | ${meaning} | ${next} |`), `${name}: run npm run reference`);
    }
  });

  it("is the table that the classes of errors are of, one class for each code", () => {
    const text = ["errors", "edge-errors"]
      .map((name) => readFileSync(join(repository, `protocol/${name}.ts`), "utf8"))
      .join();
    const used = [...text.matchAll(/readonly code = "([A-Z_]+)"/g)].map(([, name]) => name as string);
    assert.deepEqual([...used].sort(), Object.keys(errorCodes).sort());
  });

  it("knows every code that the product says", () => {
    const said = sources(...PRODUCT).flatMap(({ text }) => [
      ...text.matchAll(/\bcode(?::| ===| !==|=) "([A-Z][A-Z_]+)"/g),
    ]);
    // Not the system's and undici's.
    const ours = said.map(([, name]) => name as string).filter((name) => !/^(E[A-Z0-9]+|UND_ERR_.+)$/.test(name));
    for (const name of new Set(ours)) assert(page.includes(`\`${name}\``), name);
  });
});
