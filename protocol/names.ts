import { z } from "zod";

const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;
const HOST = /^[a-z0-9][a-z0-9_-]{0,62}(\.[a-z0-9][a-z0-9_-]{0,62})*$/;
const VERSION = /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/;

/** A service, stage, slot or edge: one token of a subject or key. */
export const nameSchema = z.string().regex(NAME, "must match [a-z0-9][a-z0-9_-]{0,62}");

/** A host: one or more names joined by dots, as in DNS. In keys its dots become `_` (see `hostToken`). */
export const hostSchema = z.string().max(253).regex(HOST, "must be names of [a-z0-9][a-z0-9_-]{0,62} joined by dots");

/** A version: opaque, immutable, compared byte for byte. It is also a directory name, so `..` is refused. */
export const versionSchema = z
  .string()
  .regex(VERSION, "must match [A-Za-z0-9][A-Za-z0-9._+-]{0,127} and must not contain '..'");

/** Lower-case hex SHA-256: 64 digits. */
export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 lower-case hex digits");

/** A moment, ISO 8601 in UTC, as `new Date().toISOString()` writes it. */
export const timestampSchema = z.iso.datetime();

/** The form that a host takes as a token of a subject or key, where a dot would be a separator. */
export function hostToken(host: string): string {
  return host.replaceAll(".", "_");
}
