import { z } from "zod";
import { sha256Schema, versionSchema } from "./names.ts";
import { releaseStore } from "./subjects.ts";

const SCHEMES = ["file:", "http:", "https:", "nats-object:"];

function isSource(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  if (!SCHEMES.includes(url.protocol)) return false;
  if (url.protocol === "file:") return url.host === "" && url.pathname.length > 1;
  return url.host !== "" && (url.protocol !== "nats-object:" || url.pathname.length > 1);
}

/** Where an archive is: `file:///path`, `http(s)://…`, or `nats-object://BUCKET/NAME` in the bus's object store. */
export const releaseUrlSchema = z
  .string()
  .max(2048)
  .refine(isSource, "must be a file:///path, http(s)://… or nats-object://BUCKET/NAME address");

const archive = {
  url: releaseUrlSchema,
  /** Other addresses of the same bytes, tried in order after `url`. */
  mirrors: z.array(releaseUrlSchema).max(8).optional(),
  sha256: sha256Schema,
  sizeBytes: z.int().positive(),
};

/** An archive of what changed against the tree with the digest `base`. */
export const deltaSchema = z.strictObject({ base: sha256Schema, ...archive });
export type Delta = z.infer<typeof deltaSchema>;

/**
 * A release: its archive (.tar, .tar.gz, .tar.zst), with the digest and size that the bytes must have, and what it
 * unpacks to.
 */
export const releaseSchema = z.strictObject({
  version: versionSchema,
  ...archive,
  /** Digest of the tree that it unpacks to: `treeDigest`. */
  tree: sha256Schema.optional(),
  /** Shorter ways to the same tree. They need `tree`. */
  deltas: z.array(deltaSchema).max(16).optional(),
  /** SHA-256 of every archive that the signatures cover: whole ones in any format, and deltas. */
  digests: z.array(sha256Schema).max(32).optional(),
  signatures: z
    .array(
      z.strictObject({
        /** See `keyId`. */
        key: z.string().regex(/^[0-9a-f]{16}$/, "must be 16 lower-case hex digits"),
        /** Base64 of the 64 bytes of an Ed25519 signature, see `signRelease`. */
        value: z.string().regex(/^[A-Za-z0-9+/]{86}==$/, "must be the base64 of 64 bytes"),
      }),
    )
    .max(8)
    .optional(),
});
export type Release = z.infer<typeof releaseSchema>;

/**
 * Whether two descriptions of a version mean the same content: the same archive, or archives that unpack to the same
 * tree.
 */
export function isSameContent(
  x: { sha256: string; tree?: string | null | undefined },
  y: { sha256: string; tree?: string | null | undefined },
): boolean {
  return x.sha256 === y.sha256 || (x.tree != null && x.tree === y.tree);
}

/** An archive of a release to fetch, whole or a delta. */
export type Archive = Pick<Release, "version" | "url" | "mirrors" | "sha256" | "sizeBytes">;

/** The address of an object in the release store. */
export function objectUrl(name: string, bucket: string = releaseStore): string {
  return `nats-object://${bucket}/${name.split("/").map(encodeURIComponent).join("/")}`;
}

/** The bucket and object behind a `nats-object:` address. */
export function parseObjectUrl(url: string): { bucket: string; name: string } {
  const { host, pathname } = new URL(url);
  return { bucket: host, name: pathname.slice(1).split("/").map(decodeURIComponent).join("/") };
}
