// Removes from dist/ what was compiled from a source that is gone: a test that was moved must not run twice.
//   node scripts/lib/drop-stale.mjs [DIRECTORY]
import { existsSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";

const top = process.argv[2] ?? ".";
const COMPILED = /\.js(\.map)?$/;

/** @returns whether nothing is left in it */
function drop(directory) {
  let left = 0;
  for (const entry of readdirSync(join(top, "dist", directory), { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      if (drop(path)) rmdirSync(join(top, "dist", path));
      else left++;
    } else if (COMPILED.test(path) && !existsSync(join(top, path.replace(COMPILED, ".ts")))) {
      rmSync(join(top, "dist", path));
    } else left++;
  }
  return left === 0;
}

if (existsSync(join(top, "dist"))) drop("");
