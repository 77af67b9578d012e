import { closeSync, fsyncSync, openSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { type Manifest, manifestSchema } from "../../protocol/manifest.ts";

/** Next to a release's tree. */
export const manifestName = "manifest.json";

/** Writes a manifest durably, except for its name in the directory. */
export function writeManifest(path: string, manifest: Manifest): void {
  const fd = openSync(path, "wx", 0o644);
  try {
    writeFileSync(fd, `${JSON.stringify(manifest)}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** @throws where it can't be read, or makes no sense. */
export async function readManifest(path: string): Promise<Manifest> {
  return manifestSchema.parse(JSON.parse(await readFile(path, "utf8")));
}
