import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { create } from "tar";
import type { Release } from "../../protocol/release.ts";

/** The repository's top, wherever the compiled tests are. */
export const repository: string = (() => {
  let directory = import.meta.dirname;
  while (!isTop(directory)) directory = dirname(directory);
  return directory;
})();

function isTop(directory: string): boolean {
  try {
    return (JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as { name: string }).name === "slotd";
  } catch {
    return false;
  }
}

/** The folder of fixture apps, as sources. */
export const fixtureApps = join(repository, "test/fixtures/apps");

/**
 * Packs an app of test/fixtures/apps, the given files, or a directory's content, into an archive, and describes it as a
 * release.
 * @param into the directory that the archive is written to
 */
export async function makeRelease(
  into: string,
  version: string,
  content: { app: string } | { files: Record<string, string> } | { directory: string },
): Promise<Release> {
  const tree = mkdtempSync(join(tmpdir(), "slotd-release-"));
  try {
    if ("app" in content) cpSync(join(fixtureApps, content.app), join(tree, content.app));
    else if ("directory" in content) cpSync(content.directory, tree, { recursive: true, verbatimSymlinks: true });
    else {
      for (const [path, text] of Object.entries(content.files)) {
        mkdirSync(dirname(join(tree, path)), { recursive: true });
        writeFileSync(join(tree, path), text);
      }
    }
    writeFileSync(join(tree, "version.txt"), version);
    const file = join(into, `${version}-${Math.random().toString(36).slice(2)}.tar.gz`);
    await create({ file, cwd: tree, gzip: true, portable: true }, ["."]);
    return describeArchive(version, file);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

export function describeArchive(version: string, file: string): Release {
  const sha256 = createHash("sha256").update(readFileSync(file)).digest("hex");
  return { version, url: pathToFileURL(file).href, sha256, sizeBytes: statSync(file).size };
}
