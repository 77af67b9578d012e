import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import ignore, { type Ignore } from "ignore";
import { PackRefusedError } from "../../protocol/errors.ts";
import { type ManifestEntry, sortEntries } from "../../protocol/manifest.ts";
import { checkEntry, fold, type NodeKind } from "../releases/unpack/check-entry.ts";
import { fileBytes, refusal } from "./file-bytes.ts";

/**
 * Lists the paths to leave out, in the syntax of gitignore(5). Lies at the top of the packed directory, and is left out
 * itself.
 */
const IGNORE_FILE = ".slotdignore";
/** Packed files have one of two modes, so that archives do not depend on a build machine's umask. */
const FILE_MODE = 0o644;
const PROGRAM_MODE = 0o755;
const DIRECTORY_MODE = 0o755;
const SPECIAL_BITS = 0o7000;
const READS_AT_ONCE = 4;

/** An entry, and its mode on disk. */
interface Found {
  entry: ManifestEntry;
  mode: number;
}

/**
 * A directory's entries as a release's tree: sorted, with normalized modes, and checked by the agent's rules.
 * @param onProgress called with the number of files hashed so far, and of all files
 * @throws PackRefusedError naming the path and the rule; the signal's reason.
 */
export async function scan(
  root: string,
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<ManifestEntry[]> {
  const ignored = await ignoreRules(root);
  const found: Found[] = [];
  await walk(root, "", ignored, found, signal);
  if (found.length === 0) throw new PackRefusedError(root, "is empty, or all of it is ignored");
  const sorted = sortEntries(found.map(({ entry }) => entry));
  requireInstallable(sorted, new Map(found.map(({ entry, mode }) => [entry, mode])));
  await hashFiles(root, sorted, signal, onProgress);
  return sorted;
}

/** The rules for paths to leave out. They expect a directory's path to end in a slash. */
export async function ignoreRules(root: string): Promise<Ignore> {
  // Case-sensitive, as git is on Linux.
  const rules = ignore({ ignorecase: false }).add(`/${IGNORE_FILE}`);
  try {
    return rules.add(await readFile(join(root, IGNORE_FILE), "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return rules;
    throw refusal(IGNORE_FILE, error);
  }
}

async function walk(root: string, directory: string, ignored: Ignore, into: Found[], signal: AbortSignal) {
  signal.throwIfAborted();
  const below = await readdir(join(root, directory), { withFileTypes: true, encoding: "buffer" }).catch((error) => {
    throw refusal(directory === "" ? root : directory, error);
  });
  for (const each of below) {
    const name = each.name.toString("utf8");
    const path = directory === "" ? name : `${directory}/${name}`;
    if (ignored.ignores(each.isDirectory() ? `${path}/` : path)) continue;
    // The decoded name would not exist on disk.
    if (!isUtf8(each.name)) throw new PackRefusedError(path, "has a name that is not UTF-8");
    if (each.isDirectory()) {
      into.push({ entry: { type: "directory", path, mode: DIRECTORY_MODE }, mode: DIRECTORY_MODE });
      await walk(root, path, ignored, into, signal);
    } else {
      into.push(await examine(root, path));
    }
  }
}

async function examine(root: string, path: string): Promise<Found> {
  const full = join(root, path);
  try {
    const stats = await lstat(full);
    if (stats.isSymbolicLink()) {
      const target = await readlink(full, "buffer");
      if (!isUtf8(target)) throw new PackRefusedError(path, "is a symbolic link whose target is not UTF-8");
      return { entry: { type: "symlink", path, target: target.toString("utf8") }, mode: 0o777 };
    }
    if (!stats.isFile()) throw new PackRefusedError(path, "is not a file, directory or link");
    const mode = stats.mode & 0o111 ? PROGRAM_MODE : FILE_MODE;
    return {
      entry: { type: "file", path, mode, sizeBytes: stats.size, sha256: "" },
      mode: mode | (stats.mode & SPECIAL_BITS),
    };
  } catch (error) {
    throw refusal(path, error);
  }
}

/** Applies the agent's rules before the release is packed. */
function requireInstallable(entries: readonly ManifestEntry[], modes: ReadonlyMap<ManifestEntry, number>): void {
  const known = new Map<string, { path: string; kind: NodeKind }>();
  for (const entry of entries) {
    const { path, type } = entry;
    const linkpath = type === "symlink" ? entry.target : "";
    const verdict = checkEntry({ path, type, linkpath, mode: modes.get(entry) ?? 0 }, known);
    if ("rule" in verdict) throw new PackRefusedError(path, verdict.rule);
    for (const add of verdict.adds) known.set(fold(add.path), add);
  }
}

async function hashFiles(
  root: string,
  entries: ManifestEntry[],
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void,
) {
  const files = entries.filter((entry) => entry.type === "file");
  let done = 0;
  const queue = files.values();
  const worker = async () => {
    for (const file of queue) {
      const hash = createHash("sha256");
      let sizeBytes = 0;
      for await (const chunk of fileBytes(root, file.path)) {
        signal.throwIfAborted();
        hash.update(chunk);
        sizeBytes += chunk.length;
      }
      Object.assign(file, { sha256: hash.digest("hex"), sizeBytes });
      onProgress(++done, files.length);
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, worker));
}
