// Ends with 0 if node_modules has what package-lock.json names, otherwise with 1, and names the first difference.
//   node scripts/lib/installed.mjs [DIRECTORY]
// `npm ci` and `npm install` both leave a lock file of what they installed in node_modules. Runs before the build.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const top = process.argv[2] ?? ".";
const packagesOf = (path) => JSON.parse(readFileSync(join(top, path), "utf8")).packages;

function difference() {
  if (!existsSync(join(top, "node_modules/.package-lock.json"))) return "nothing is installed";
  const { "": _own, ...wanted } = packagesOf("package-lock.json");
  const installed = packagesOf("node_modules/.package-lock.json");
  for (const [path, { version, integrity, optional, devOptional }] of Object.entries(wanted)) {
    const found = installed[path];
    // What is optional may be for another platform.
    if (!found && (optional || devOptional)) continue;
    if (!found || !existsSync(join(top, path, "package.json"))) return `${path} is missing`;
    if (found.version !== version || found.integrity !== integrity) return `${path} is another one than ${version}`;
  }
  const surplus = Object.keys(installed).find((path) => !(path in wanted));
  return surplus && `${surplus} is not in package-lock.json`;
}

const why = difference();
if (why) {
  console.error(why);
  process.exitCode = 1;
}
