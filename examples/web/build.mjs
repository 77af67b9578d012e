#!/usr/bin/env node
// node examples/web/build.mjs VERSION OUTDIR [--json]: writes OUTDIR/web-VERSION/ and packs it as
// OUTDIR/web-VERSION.tar.gz.
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { create } from "tar";

const SOURCE = fileURLToPath(new URL(".", import.meta.url));
const VERSION = /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/;

const args = process.argv.slice(2);
const json = args.includes("--json");
const [version = "", out, ...extra] = args.filter((arg) => arg !== "--json");
if (!VERSION.test(version) || out === undefined || extra.length > 0) {
  console.error(`usage: build.mjs VERSION OUTDIR [--json]; VERSION must match ${VERSION.source}`);
  process.exit(2);
}

const directory = resolve(out, `web-${version}`);
const archive = `${directory}.tar.gz`;
const files = release();
rmSync(directory, { recursive: true, force: true });
for (const [path, content] of files) write(join(directory, path), content);
await pack();

const bytes = readFileSync(archive);
const sha256 = createHash("sha256").update(bytes).digest("hex");
console.log(`${archive}\nsha256 ${sha256}\n${bytes.length} bytes`);
if (json) console.log(JSON.stringify({ version, path: archive, directory, sha256, sizeBytes: bytes.length }));

/**
 * Path in the release → content. An asset's path has the version, so that a page never gets a cached asset of another
 * version. So has its query, by which an edge routes the request to the version that has the asset.
 */
function release() {
  const bake = (name) =>
    readFileSync(join(SOURCE, name), "utf8")
      .replaceAll("{{version}}", version)
      .replaceAll("{{path}}", encodeURIComponent(version))
      .replaceAll("{{colour}}", colour());
  return new Map([
    [`public/assets/${version}/app.js`, bake("public/app.js")],
    [`public/assets/${version}/version-client.js`, bake("public/version-client.js")],
    [`public/assets/${version}/style.css`, bake("public/style.css")],
    ["public/index.html", bake("public/index.html")],
    ["server.mjs", readFileSync(join(SOURCE, "server.mjs"))],
    ["version.json", `${JSON.stringify({ version, colour: colour() })}\n`],
  ]);
}

/** A different colour for each version, dark enough for white text. */
function colour() {
  const hue = createHash("sha256").update(version).digest().readUInt16BE(0) % 360;
  return `hsl(${hue} 65% 35%)`;
}

function write(path, content) {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileSync(path, content);
  // The archive must not depend on the umask.
  chmodSync(path, 0o644);
}

/** Packs the same content into the same bytes, on any machine and at any time. */
function pack() {
  const options = { file: archive, cwd: directory, portable: true, gzip: { level: 9 }, mtime: new Date(0) };
  return create({ ...options, noDirRecurse: true, strict: true }, [...files.keys()].sort());
}
