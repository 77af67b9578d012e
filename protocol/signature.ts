import { createHash, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import type { Release } from "./release.ts";

const PREFIX = "ed25519:";
/** DER of an Ed25519 public key before its 32 bytes: RFC 8410, section 4. */
const SPKI = Buffer.from("302a300506032b6570032100", "hex");
const KEY_BYTES = 32;

/** A public key as it stands in a configuration: `ed25519:` and the base64 of its 32 bytes. */
export function formatPublicKey(key: KeyObject): string {
  const der = key.export({ type: "spki", format: "der" });
  return `${PREFIX}${der.subarray(SPKI.length).toString("base64")}`;
}

/** The key of such a text; null where it is none. */
export function parsePublicKey(text: string): KeyObject | null {
  if (!text.startsWith(PREFIX)) return null;
  const raw = Buffer.from(text.slice(PREFIX.length), "base64");
  if (raw.length !== KEY_BYTES || raw.toString("base64") !== text.slice(PREFIX.length)) return null;
  return createPublicKey({ key: Buffer.concat([SPKI, raw]), format: "der", type: "spki" });
}

/** Tells keys apart: the first 16 hex digits of the SHA-256 of a public key's text. */
export function keyId(publicKey: string): string {
  return createHash("sha256").update(publicKey).digest("hex").slice(0, 16);
}

/**
 * What a signature is over: what will run, and the bytes that may be unpacked to get it; nothing of where they are
 * fetched from.
 */
export interface Signable {
  version: string;
  tree: string;
  digests: readonly string[];
}

/** The digests are sorted, so that their order says nothing. */
function signedText({ version, tree, digests }: Signable): string {
  return JSON.stringify(["slotd-release-1", version, tree, [...digests].sort()]);
}

export type Signature = NonNullable<Release["signatures"]>[number];

/** @param privateKey an Ed25519 key */
export function signRelease(release: Signable, privateKey: KeyObject): Signature {
  const key = keyId(formatPublicKey(createPublicKey(privateKey)));
  return { key, value: sign(null, Buffer.from(signedText(release)), privateKey).toString("base64") };
}

/**
 * Whether a release carries a good signature by one of some keys.
 * @param trusted texts of public keys
 * @returns null, or why not.
 */
export function distrust(release: Release, trusted: readonly string[]): string | null {
  const { version, tree, digests, signatures = [] } = release;
  if (signatures.length === 0 || tree === undefined || digests === undefined) return "it is not signed";
  const used = [release.sha256, ...(release.deltas ?? []).map((delta) => delta.sha256)];
  if (!used.every((digest) => digests.includes(digest))) return "it has an archive that its signature does not cover";
  const text = Buffer.from(signedText({ version, tree, digests }));
  for (const publicKey of trusted) {
    const key = parsePublicKey(publicKey);
    const found = signatures.filter((signature) => signature.key === keyId(publicKey));
    if (key && found.some(({ value }) => verify(null, text, key, Buffer.from(value, "base64")))) return null;
  }
  const by = signatures.map(({ key }) => key).join(", ");
  const known = signatures.some(({ key }) => trusted.some((publicKey) => keyId(publicKey) === key));
  return known
    ? `its signature (key ${by}) is not of this content`
    : `it is signed by ${by}, and that key is not trusted`;
}
