import { dirname } from "node:path";
import { type PackedFile, packageDigests, packageFiles } from "../../protocol/package.ts";
import { distrust } from "../../protocol/signature.ts";
import { difference, readPackage, readPackedManifest } from "./package-file.ts";

export interface PackageVerdict {
  version: string;
  tree: string;
  /** `why`: how the file differs from the description; null: it does not. */
  files: { file: string; why: string | null }[];
  /** Ids of the keys that signed the release. */
  signedBy: string[];
  /** Why the release is not trusted; null: it is trusted, or no trusted keys were given. */
  distrust: string | null;
  ok: boolean;
}

/**
 * Checks every file of a description, and its signatures.
 * @param trusted public keys, one of which must have signed the release; empty: signatures are not checked
 * @throws PackageInvalidError if the description itself can't be read.
 */
export async function verifyPackage(path: string, trusted: readonly string[]): Promise<PackageVerdict> {
  const description = await readPackage(path);
  const { version, tree, signatures } = description;
  const files: PackageVerdict["files"] = [];
  for (const packed of packageFiles(description)) {
    const why =
      packed === description.manifest
        ? await readPackedManifest(path, description).then(
            () => null,
            (error: Error) => withoutName(error.message),
          )
        : await difference(dirname(path), packed);
    files.push({ file: packed.file, why });
  }
  const [first] = description.archives as [PackedFile, ...PackedFile[]];
  // A signature covers the digests of all archives, so any archive will do here.
  const release = { version, url: "file:///nowhere", ...first, tree, digests: packageDigests(description), signatures };
  const why = trusted.length === 0 ? null : distrust(release, trusted);
  const ok = why === null && files.every((file) => file.why === null);
  return { version, tree, files, signedBy: signatures.map(({ key }) => key), distrust: why, ok };
}

/** Removes the file name, which is shown separately. */
function withoutName(message: string): string {
  return message.replace(/^.*?: /, "");
}
