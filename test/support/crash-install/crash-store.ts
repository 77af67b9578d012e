import { readdirSync, readlinkSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { manifestName } from "../../../agent/releases/manifest-file.ts";
import { audit } from "../../../agent/releases/store/audit.ts";
import { CleanUp } from "../../../agent/releases/store/clean-up.ts";
import { installedReleases } from "../../../agent/releases/store/inventory.ts";
import type { ReleaseStore } from "../../../agent/releases/store/store.ts";
import type { Release } from "../../../protocol/release.ts";
import { seededRandom } from "../random.ts";
import type { Owner } from "./owner.ts";
import { installTimed, openStore, packBoth, storeAt } from "./packages.ts";

const FILES_PER_DIRECTORY = 50;
const IN_A_RELEASE = ["manifest.json", "release.json", "tree"];

/** What is installed, what is being installed, and what is too much. */
export interface CrashReleases {
  base: Release;
  next: Record<"whole" | "delta", Release>;
  old: Release;
}

/** A store in which the releases `base` and `next` are in use, and nothing else is worth keeping. */
export function cleanUpOf(store: ReleaseStore): CleanUp {
  const policy = { keep: 0, maxBytes: null, maxDiskPercent: 100 };
  const list = () => installedReleases(store);
  const remove = (version: string) => store.remove(version);
  return new CleanUp(
    { dir: store.dir, list, remove },
    policy,
    (version) => version !== "old",
    () => {},
  );
}

/** Three versions of an app of so many files, of which one in ten differs. */
export async function makeReleases(owner: Owner, directory: string, files: number): Promise<CrashReleases> {
  const packed = async (version: string, bases: Parameters<typeof packBoth>[4]) => {
    const tree = join(directory, `${version}-tree`);
    await writeApp(tree, version, files);
    return packBoth(owner, tree, join(directory, "archives"), version, bases);
  };
  const base = await packed("base", []);
  const next = (await packed("next", [base.manifest])).releases.gz;
  const { deltas: _, ...whole } = next;
  const old = (await packed("old", [base.manifest])).releases.gz;
  return { base: base.releases.gz, next: { whole, delta: next }, old };
}

async function writeApp(tree: string, version: string, files: number): Promise<void> {
  const random = seededRandom(files);
  for (let number = 0; number < files; number++) {
    const at = join(tree, `d${Math.floor(number / FILES_PER_DIRECTORY)}`);
    if (number % FILES_PER_DIRECTORY === 0) await mkdir(at, { recursive: true });
    // Nothing shortens it.
    const content = Buffer.from(Array.from({ length: 2_000 }, () => random() * 256));
    await writeFile(join(at, `f${number}`), content);
    if (number % 10 === 0) await writeFile(join(at, `f${number}`), version);
  }
}

/** Makes the store as it is before each kill: `base` and `old` are there, `next` is not. */
export async function makeReady(directory: string, { base, old }: CrashReleases, signal: AbortSignal): Promise<void> {
  const store = await openStore(directory);
  await store.remove("next");
  if ((await store.find("base")) === null) await installTimed(store, base, signal);
  if ((await store.find("old")) === null) await installTimed(store, old, signal);
}

/** What the next start finds after a kill, and makes of it. */
export interface Convergence {
  /** What must not be. */
  violations: string[];
  /** Staging directories that had been left. */
  swept: number;
  /** Whether the release had its name already. */
  published: boolean;
}

/** Starts on the store as an agent does, goes on with the order, and looks at all that is there, before and after. */
export async function converge(directory: string, release: Release, signal: AbortSignal): Promise<Convergence> {
  const seen: Convergence = { violations: [], swept: 0, published: false };
  try {
    await startAgain(directory, release, signal, seen);
  } catch (error) {
    signal.throwIfAborted();
    seen.violations.push(`the next start failed: ${error}`);
  }
  return seen;
}

async function startAgain(directory: string, release: Release, signal: AbortSignal, seen: Convergence): Promise<void> {
  const { violations } = seen;
  const requireAllWhole = (when: string, all: string[]) =>
    Promise.all(all.map((name) => requireWhole(when, directory, name, violations, signal)));
  const before = names(directory).filter((name) => !name.startsWith("."));
  await requireAllWhole("right after the kill", before);
  seen.published = before.includes("next");
  const store = storeAt(directory);
  seen.swept = (await store.prepare()).length;
  await cleanUpOf(store).run();
  requireNames("after the next start", directory, seen.published ? ["base", "next"] : ["base"], violations);
  if (!seen.published) await installTimed(store, release, signal);
  await cleanUpOf(store).run();
  requireNames("after the order was done", directory, ["base", "next"], violations);
  await requireAllWhole("after the order was done", names(directory));
  for (const path of openBelow(directory)) violations.push(`${path} is still open`);
}

function names(directory: string): string[] {
  return readdirSync(directory).sort();
}

function requireNames(when: string, directory: string, wanted: string[], violations: string[]): void {
  const found = names(directory);
  if (found.join() !== wanted.join())
    violations.push(`${when} there is ${found.join(", ")} instead of ${wanted.join(", ")}`);
}

/** Whatever has a version's name is a release, and is what its manifest says, byte for byte. */
async function requireWhole(when: string, directory: string, name: string, violations: string[], signal: AbortSignal) {
  const release = await storeAt(directory).find(name);
  if (release === null) {
    violations.push(`${when} ${name} is no release`);
    return;
  }
  const home = dirname(release.tree);
  if (names(home).join() !== IN_A_RELEASE.join()) violations.push(`${when} ${name} holds ${names(home).join(", ")}`);
  const { differences } = await audit(
    { tree: release.tree, manifest: join(home, manifestName), contents: true },
    signal,
  );
  for (const { path, what } of differences.slice(0, 5)) violations.push(`${when} ${name}/${path}: ${what}`);
}

/** What this process has open below a directory. */
function openBelow(directory: string): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(directory) ? [path] : [];
    } catch {
      // The one that the list was read by.
      return [];
    }
  });
}
