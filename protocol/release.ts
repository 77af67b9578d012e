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

/** A release's archive (.tar or .tar.gz), with the digest and size that the bytes must have. */
export const releaseSchema = z.strictObject({
  version: versionSchema,
  url: releaseUrlSchema,
  sha256: sha256Schema,
  sizeBytes: z.int().positive(),
});
export type Release = z.infer<typeof releaseSchema>;

/** The address of an object in the release store. */
export function objectUrl(name: string, bucket: string = releaseStore): string {
  return `nats-object://${bucket}/${name.split("/").map(encodeURIComponent).join("/")}`;
}

/** The bucket and object behind a `nats-object:` address. */
export function parseObjectUrl(url: string): { bucket: string; name: string } {
  const { host, pathname } = new URL(url);
  return { bucket: host, name: pathname.slice(1).split("/").map(decodeURIComponent).join("/") };
}
