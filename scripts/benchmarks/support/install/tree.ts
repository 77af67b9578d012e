import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { repository } from "../../../../test/support/release.ts";
import { appFile } from "../app.ts";
import type { Run } from "../run.ts";

const PACKAGES = ["typescript", "vite", "react", "react-dom", "next"];
/** One file in so many is another one in the next version. */
const CHANGED_ONE_IN = 100;

/** What was installed, and what it is made of. */
export interface Tree {
  directory: string;
  files: number;
  bytes: number;
}

/** Where benchmarks keep what is made once: beside the repository, so that it lies on a real disk. */
export const cache: string = join(repository, ".cache/bench");

/** A directory in the cache that goes with the run. */
export function workDirectory(run: Run, what: string): string {
  const directory = join(cache, `${what}-${process.pid}`);
  mkdirSync(directory, { recursive: true });
  run.own(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
  return directory;
}

/**
 * A tree as apps have it: dependencies that are many files, and the benchmarks' app at its top so that it can serve.
 */
export function realTree(run: Run): Tree {
  const directory = join(cache, "tree");
  if (!existsSync(join(directory, "package.json"))) {
    run.say(`installing ${PACKAGES.join(", ")} into ${directory} …`);
    const aside = `${directory}.${process.pid}`;
    run.own(() => rmSync(aside, { recursive: true, force: true }));
    mkdirSync(aside, { recursive: true });
    writeFileSync(join(aside, "package.json"), `${JSON.stringify({ private: true })}\n`);
    const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
    execFileSync("npm", ["install", "--prefix", aside, ...quiet, ...PACKAGES], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    renameSync(aside, directory);
  }
  copyFileSync(appFile, join(directory, "app.mjs"));
  writeFileSync(join(directory, "version.txt"), "base");
  const files = filesBySize(directory);
  return { directory, files: files.length, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Which packages it is made of: `npm install` brings other versions in another month. */
export function versionsIn({ directory }: Tree): string {
  const version = (name: string) =>
    (JSON.parse(readFileSync(join(directory, "node_modules", name, "package.json"), "utf8")) as { version: string })
      .version;
  return PACKAGES.filter((name) => existsSync(join(directory, "node_modules", name)))
    .map((name) => `${name} ${version(name)}`)
    .join(", ");
}

/**
 * The next version: one file in a hundred has another content. In the order of their sizes every hundredth is taken, so
 * that small and large ones are among them as they are in the tree, and no luck decides.
 * @returns the tree, and how much of the bytes changed
 */
export function changedTree(base: Tree, directory: string): Tree & { changedFiles: number; changedBytes: number } {
  execFileSync("cp", ["-al", base.directory, directory]);
  const sorted = filesBySize(directory);
  const changed = sorted.filter(({ path }, i) => i % CHANGED_ONE_IN === CHANGED_ONE_IN / 2 || path === "version.txt");
  for (const { path } of changed) {
    const full = join(directory, path);
    const { mode } = statSync(full);
    const content =
      path === "version.txt" ? Buffer.from("next") : Buffer.concat([readFileSync(full), Buffer.from("\n// next\n")]);
    // The name is given to a new file: the old one is the base's too.
    rmSync(full);
    writeFileSync(full, content, { mode });
  }
  const changedBytes = changed.reduce((sum, { bytes }) => sum + bytes, 0);
  return { ...base, directory, changedFiles: changed.length, changedBytes };
}

function filesBySize(directory: string): { path: string; bytes: number }[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .map((full) => ({ path: full.slice(directory.length + 1), bytes: statSync(full).size }))
    .sort((x, y) => x.bytes - y.bytes || (x.path < y.path ? -1 : 1));
}

/** Brings a file into the page cache. */
export function warm(path: string): void {
  execFileSync("cat", [path], { stdio: ["ignore", "ignore", "inherit"] });
}

/** Nothing that was written before is still to be written during what is timed. */
export function settle(): void {
  execFileSync("sync");
}

export function emptyDirectory(path: string): string {
  rmSync(path, { recursive: true, force: true });
  mkdirSync(dirname(path), { recursive: true });
  mkdirSync(path);
  return path;
}
