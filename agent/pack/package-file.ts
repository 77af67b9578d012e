import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PackageInvalidError } from "../../protocol/errors.ts";
import { type Manifest, manifestSchema, treeDigest } from "../../protocol/manifest.ts";
import { type PackedFile, parsePackage, type ReleasePackage } from "../../protocol/package.ts";

/** @throws PackageInvalidError */
export async function readPackage(path: string): Promise<ReleasePackage> {
  try {
    return parsePackage(await readFile(path, "utf8"), path);
  } catch (cause) {
    if (cause instanceof PackageInvalidError) throw cause;
    throw new PackageInvalidError(path, `can't be read: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Reads the manifest beside a description, and checks that they match.
 * @param path the description's path
 * @throws PackageInvalidError
 */
export async function readPackedManifest(path: string, description: ReleasePackage): Promise<Manifest> {
  const beside = join(dirname(path), description.manifest.file);
  const why = await difference(dirname(path), description.manifest);
  if (why !== null) throw new PackageInvalidError(beside, why);
  const parsed = manifestSchema.safeParse(asJson(await readFile(beside, "utf8")));
  if (!parsed.success) throw new PackageInvalidError(beside, "is not a manifest", { cause: parsed.error });
  const { version, tree, entries } = parsed.data;
  if (version !== description.version) throw new PackageInvalidError(beside, `is of version ${version}`);
  if (tree !== description.tree || treeDigest(entries) !== tree)
    throw new PackageInvalidError(beside, `is not of the tree ${description.tree}`);
  return parsed.data;
}

/** How a file differs from its description; null: it does not. */
export async function difference(directory: string, { file, sha256, sizeBytes }: PackedFile): Promise<string | null> {
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(join(directory, file)) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bytes += chunk.length;
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? "is missing" : `can't be read: ${message}`;
  }
  if (bytes !== sizeBytes) return `has ${bytes} bytes, not ${sizeBytes}`;
  const actual = hash.digest("hex");
  return actual === sha256 ? null : `has sha256 ${actual}, not ${sha256}`;
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
