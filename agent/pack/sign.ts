import type { KeyObject } from "node:crypto";
import { packageDigests, type ReleasePackage } from "../../protocol/package.ts";
import { signRelease } from "../../protocol/signature.ts";

/** The description with a signature by each key. Replaces an earlier signature by the same key. */
export function signed(description: ReleasePackage, keys: readonly KeyObject[]): ReleasePackage {
  const { version, tree, signatures } = description;
  const digests = packageDigests(description);
  const byKey = new Map(signatures.map((signature) => [signature.key, signature]));
  for (const key of keys) {
    const signature = signRelease({ version, tree, digests }, key);
    byKey.set(signature.key, signature);
  }
  return { ...description, signatures: [...byKey.values()].sort((x, y) => (x.key < y.key ? -1 : 1)) };
}
