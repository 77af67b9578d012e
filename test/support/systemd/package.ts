import { execFile, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { repository } from "../release.ts";

/** What the package is made from. */
const SOURCES = [
  "agent,bus,controller-stub,daemon,edge,protocol,systemd,scripts/package,scripts/packaging,scripts/lib",
  "docs,examples/web,examples/apps,examples/two-services,README.md,ARCHITECTURE.md,CHANGELOG.md,LICENSE,package.json,package-lock.json",
].flatMap((names) => names.split(","));

const cache = join(repository, ".cache/package/debs");
const KEPT_MS = 15 * 60_000;

/**
 * slotd's .deb, of the version in package.json or of another one. It is built once for as long as its sources are the
 * same, by whichever test file comes first; the others wait.
 * @returns its path
 */
export async function buildPackage(version = packageVersion): Promise<string> {
  mkdirSync(cache, { recursive: true });
  const directory = join(cache, `${sourcesDigest()}-${version}`);
  const script = 'if [ ! -e "$1" ]; then ./scripts/package --version "$2" --out "$1.new" && mv -T "$1.new" "$1"; fi';
  await promisify(execFile)("flock", [join(cache, "lock"), "bash", "-c", script, "build", directory, version], {
    cwd: repository,
  });
  utimesSync(directory, new Date(), new Date());
  for (const name of readdirSync(cache))
    if (name !== "lock" && ageMs(join(cache, name)) > KEPT_MS) rmSync(join(cache, name), { recursive: true });
  const [file] = readdirSync(directory);
  if (!file?.endsWith(".deb")) throw new Error(`${directory} holds no package`);
  return join(directory, file);
}

export const packageVersion: string = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")).version;

function sourcesDigest(): string {
  // The package's times are those of the last commit.
  const hash = createHash("sha256").update(
    spawnSync("git", ["log", "-1", "--format=%ct"], { cwd: repository }).stdout ?? "",
  );
  for (const source of SOURCES) {
    const path = join(repository, source);
    if (!statSync(path).isDirectory()) hash.update(`${source}\0`).update(readFileSync(path));
    else
      for (const entry of readdirSync(path, { recursive: true, withFileTypes: true }).filter((e) => e.isFile()))
        hash.update(`${join(entry.parentPath, entry.name)}\0`).update(readFileSync(join(entry.parentPath, entry.name)));
  }
  return hash.digest("hex").slice(0, 16);
}

function ageMs(path: string): number {
  return existsSync(path) ? Date.now() - statSync(path).mtimeMs : 0;
}
