import { createHash } from "node:crypto";
import { Header, Pax } from "tar";
import { PackRefusedError } from "../../protocol/errors.ts";
import type { ManifestEntry } from "../../protocol/manifest.ts";
import { fileBytes } from "./file-bytes.ts";

const BLOCK = 512;
const END = Buffer.alloc(2 * BLOCK);
/** Times derived from contents lie within 20 years of 2000-01-01, in seconds. */
const EPOCH_S = 946_684_800;
const SPAN_S = 631_152_000;

export interface TarOptions {
  /** The directory that the files are in. */
  root: string;
  /** Modification time of all entries in seconds since 1970; null: derived from each file's content. */
  mtimeSeconds: number | null;
  /** An additional first file. */
  head?: { path: string; content: Buffer };
  onProgress(bytes: number): void;
}

/**
 * A reproducible tar archive of a tree, in chunks: the same entries always give the same bytes.
 * @throws PackRefusedError if a file has changed since the scan.
 */
export async function* writeTar(entries: readonly ManifestEntry[], options: TarOptions): AsyncGenerator<Buffer> {
  const { root, head, onProgress } = options;
  if (head) {
    const mtime = new Date((options.mtimeSeconds ?? EPOCH_S) * 1000);
    yield header({ path: head.path, mode: 0o644, size: head.content.length, type: "File", mtime });
    yield head.content;
    yield padding(head.content.length);
  }
  for (const entry of entries) {
    const mtime = mtimeOf(entry, options.mtimeSeconds);
    if (entry.type === "directory") {
      yield header({ path: `${entry.path}/`, mode: entry.mode, size: 0, type: "Directory", mtime });
    } else if (entry.type === "symlink") {
      yield header({ path: entry.path, mode: 0o777, size: 0, type: "SymbolicLink", linkpath: entry.target, mtime });
    } else {
      yield header({ path: entry.path, mode: entry.mode, size: entry.sizeBytes, type: "File", mtime });
      yield* content(root, entry, onProgress);
      yield padding(entry.sizeBytes);
    }
  }
  yield END;
}

/**
 * Web servers identify a file's content by its size and time (ETag, Last-Modified), so the same content must always
 * have the same time, and other content another time. The time is derived from the digest, and lies between 2000 and
 * 2019.
 */
function mtimeOf(entry: ManifestEntry, fixed: number | null): Date {
  if (fixed !== null) return new Date(fixed * 1000);
  const from = entry.type === "file" ? Number.parseInt(entry.sha256.slice(0, 12), 16) % SPAN_S : 0;
  return new Date((EPOCH_S + from) * 1000);
}

interface HeaderFacts {
  path: string;
  mode: number;
  size: number;
  type: "File" | "Directory" | "SymbolicLink";
  linkpath?: string;
  mtime: Date;
}

function header(facts: HeaderFacts): Buffer {
  const made = new Header({ ...facts, uid: 0, gid: 0, uname: "root", gname: "root" });
  // Values that do not fit into the block go into an extended header before it.
  const tooLong = made.encode();
  const block = made.block as Buffer;
  if (!tooLong) return block;
  const { path, size, linkpath } = facts;
  const extended = new Pax({
    path,
    ...(linkpath !== undefined && { linkpath }),
    ...(facts.type === "File" && { size }),
  });
  return Buffer.concat([extended.encode(), block]);
}

async function* content(
  root: string,
  entry: ManifestEntry & { type: "file" },
  onProgress: TarOptions["onProgress"],
): AsyncGenerator<Buffer> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of fileBytes(root, entry.path)) {
    hash.update(chunk);
    bytes += chunk.length;
    if (bytes > entry.sizeBytes) break;
    onProgress(chunk.length);
    yield chunk;
  }
  if (bytes !== entry.sizeBytes || hash.digest("hex") !== entry.sha256)
    throw new PackRefusedError(entry.path, "changed while it was packed: pack again");
}

function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}
