import { dirname } from "node:path";
import { type PackedFile, packageDigests, packageFiles } from "../../protocol/package.ts";
import { distrust } from "../../protocol/signature.ts";
import { difference, readPackage, readPackedManifest } from "./package-file.ts";

export interface PackageVerdict {
  version: string;
  tree: string;
  /** Null as `why`: the file is what the description says. */
  files: { file: string; why: string | null }[];
  /** Ids of the keys that it is signed by. */
  signedBy: string[];
  /** Why it is not to be trusted; null: it is, or nobody said by whom it must be signed. */
  distrust: string | null;
  ok: boolean;
}

/**
 * Looks at every file beside a description, and at its signatures.
 * @param trusted texts of public keys, one of which must have signed it; none: no signature is asked for
 * @throws PackageInvalidError where the description itself can't be read.
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
  // Signatures are over the digests; which of the archives an order will name is not known yet, and does not matter.
  const release = { version, url: "file:///nowhere", ...first, tree, digests: packageDigests(description), signatures };
  const why = trusted.length === 0 ? null : distrust(release, trusted);
  const ok = why === null && files.every((file) => file.why === null);
  return { version, tree, files, signedBy: signatures.map(({ key }) => key), distrust: why, ok };
}

/** The file's name stands in front already. */
function withoutName(message: string): string {
  return message.replace(/^.*?: /, "");
}
