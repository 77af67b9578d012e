import { Header } from "tar";
import type { EntryFacts } from "./check-entry.ts";
import { corrupt, UnpackFailure } from "./failure.ts";
import { PaxError, parsePax } from "./pax.ts";

export interface TarEntry extends EntryFacts {
  sizeBytes: number;
  mtime: Date | undefined;
}

/** What the reader calls, in the archive's order: one `entry`, its `data` if it is a file, `entryEnd`. */
export interface TarHandler {
  /** An extended header (pax, or a long name of GNU tar) is about to be read: its bytes, with its own block. */
  extension(bytes: number): void;
  entry(entry: TarEntry): void;
  data(chunk: Uint8Array): void;
  entryEnd(): void;
}

const BLOCK = 512;
const MAX_META_BYTES = 1024 ** 2;
/** One of each kind that may precede an entry, plus some global headers. */
const MAX_METAS_IN_A_ROW = 8;
/** tar pads to a record, 10 KiB by default. Endless padding would be a bomb. */
const MAX_PADDING_BYTES = 1024 ** 2;

const NO_HEADER = "it is not a tar archive, or a header's checksum is wrong";

const TYPES: Record<string, string> = {
  File: "file",
  OldFile: "file",
  Directory: "directory",
  SymbolicLink: "symlink",
  Link: "hardlink",
};

/** What extended headers said about the entry that follows them. */
interface Pending {
  path?: string;
  linkpath?: string;
  sizeBytes?: number;
  mtime?: Date;
}

/**
 * Reads a tar stream, pushed in chunks of any size; holds at most one header and its extension. The block format is
 * decoded by node-tar's Header. The records are followed here, because node-tar's Parser skips what it does not
 * know, repairs what is broken, garbles names that are split between chunks, and collects what follows the end in
 * memory. In a release all of that is refused, with an UnpackFailure.
 */
export class TarReader {
  private carry: Buffer = Buffer.alloc(0);
  private state: "header" | "meta" | "body" | "end" = "header";
  private meta: Header["type"] | null = null;
  private metaBytes = 0;
  private metasInARow = 0;
  private dataLeft = 0;
  private paddingLeft = 0;
  private nullBlocks = 0;
  private bytesAfterEnd = 0;
  private pending: Pending = {};

  constructor(readonly handler: TarHandler) {}

  write(chunk: Buffer): void {
    let rest = this.carry.length > 0 ? Buffer.concat([this.carry, chunk]) : chunk;
    for (;;) {
      const taken = this.take(rest);
      if (taken === 0) break;
      rest = rest.subarray(taken);
    }
    // A copy: the sender may reuse the chunk's memory after this call.
    this.carry = Buffer.from(rest);
  }

  /** Call it when the stream has ended. */
  finish(): void {
    if (this.state !== "end") throw corrupt("it ends too early");
  }

  /** Consumes a piece of the buffer. @returns its length; 0: more is needed. */
  private take(bytes: Buffer): number {
    switch (this.state) {
      case "header":
        if (bytes.length < BLOCK) return 0;
        this.readHeader(bytes.subarray(0, BLOCK));
        return BLOCK;
      case "meta": {
        const whole = wholeBlocks(this.metaBytes);
        if (bytes.length < whole) return 0;
        this.state = "header";
        this.readMeta(bytes.subarray(0, this.metaBytes));
        return whole;
      }
      case "body":
        return this.readBody(bytes);
      case "end":
        this.bytesAfterEnd += bytes.length;
        if (this.bytesAfterEnd > MAX_PADDING_BYTES) throw corrupt("its padding does not end");
        if (bytes.some((byte) => byte !== 0)) throw corrupt("something follows its end");
        return bytes.length;
    }
  }

  private readHeader(block: Buffer): void {
    const header = headerOf(block);
    if (header.nullBlock) {
      if (this.metasInARow > 0) throw corrupt("it ends after an extended header");
      if (++this.nullBlocks === 2) this.state = "end";
      return;
    }
    if (this.nullBlocks > 0) throw corrupt("an entry follows its end");
    if (!header.cksumValid) throw corrupt(NO_HEADER);
    switch (header.type) {
      case "ExtendedHeader":
      case "OldExtendedHeader":
      case "GlobalExtendedHeader":
      case "NextFileHasLongPath":
      case "OldGnuLongPath":
      case "NextFileHasLongLinkpath":
        this.startMeta(header);
        break;
      default:
        this.startEntry(header);
    }
  }

  private startMeta(header: Header): void {
    if (header.size === undefined || header.size > MAX_META_BYTES) throw corrupt("an extended header is too long");
    if (++this.metasInARow > MAX_METAS_IN_A_ROW) throw corrupt("too many extended headers follow each other");
    this.handler.extension(BLOCK + wholeBlocks(header.size));
    this.meta = header.type;
    this.metaBytes = header.size;
    this.state = "meta";
    // A meta entry of 0 bytes has no block to wait for.
    if (header.size === 0) {
      this.state = "header";
      this.readMeta(Buffer.alloc(0));
    }
  }

  private readMeta(body: Buffer): void {
    switch (this.meta) {
      case "NextFileHasLongPath":
      case "OldGnuLongPath":
        this.setOnce("path", withoutEnd(body));
        break;
      case "NextFileHasLongLinkpath":
        this.setOnce("linkpath", withoutEnd(body));
        break;
      default:
        this.readPax(body, this.meta === "GlobalExtendedHeader");
    }
  }

  private readPax(body: Buffer, global: boolean): void {
    for (const [key, value] of pax(body)) {
      if (key.startsWith("GNU.sparse.")) {
        throw new UnpackFailure({ kind: "unsafe", entry: this.pending.path ?? "", rule: "is a sparse file" });
      }
      if (key === "path" || key === "linkpath") {
        if (global) throw corrupt(`a global header sets ${key}`);
        this.setOnce(key, value);
      } else if (key === "size") {
        if (global || !/^[0-9]{1,15}$/.test(value)) throw corrupt("an extended header has a wrong size");
        this.pending.sizeBytes = Number(value);
      } else if (key === "mtime" && !global) {
        this.pending.mtime = new Date(Number(value) * 1000);
      }
    }
  }

  /** Readers differ in which of two long names counts, so neither does. */
  private setOnce(key: "path" | "linkpath", value: string): void {
    if (this.pending[key] !== undefined) throw corrupt(`two extended headers set the ${key} of an entry`);
    this.pending[key] = value;
  }

  private startEntry(header: Header): void {
    const pending = this.pending;
    this.pending = {};
    this.metasInARow = 0;
    const path = pending.path ?? header.path ?? "";
    const sizeBytes = pending.sizeBytes ?? header.size;
    const raw = TYPES[header.type] ?? header.type;
    // Very old archives mark directories by a trailing slash.
    const type = raw === "file" && path.endsWith("/") ? "directory" : raw;
    if (type === "file" && sizeBytes === undefined) throw corrupt("a header has no size");
    const hasBody = sizeBytes !== undefined && sizeBytes > 0;
    // Some writers state the size that a directory or a link's target has on their disk; whether a body follows is
    // anyone's guess.
    if (type === "hardlink" && hasBody) throw corrupt("a link has content");
    if (type === "directory" && pending.sizeBytes) throw corrupt("a directory has content");
    const body = type === "directory" || type === "symlink" ? 0 : (sizeBytes ?? 0);
    this.handler.entry({
      path,
      type,
      linkpath: type === "symlink" || type === "hardlink" ? (pending.linkpath ?? header.linkpath ?? "") : "",
      mode: header.mode ?? (type === "directory" ? 0o755 : 0o644),
      sizeBytes: body,
      mtime: pending.mtime ?? header.mtime,
    });
    this.dataLeft = body;
    this.paddingLeft = (BLOCK - (body % BLOCK)) % BLOCK;
    this.state = "body";
    if (body === 0) this.endEntry();
  }

  private readBody(bytes: Buffer): number {
    if (this.dataLeft > 0) {
      const data = bytes.subarray(0, this.dataLeft);
      if (data.length > 0) this.handler.data(data);
      this.dataLeft -= data.length;
      if (this.dataLeft === 0 && this.paddingLeft === 0) this.endEntry();
      return data.length;
    }
    const padding = Math.min(bytes.length, this.paddingLeft);
    this.paddingLeft -= padding;
    if (this.paddingLeft === 0) this.endEntry();
    return padding;
  }

  private endEntry(): void {
    this.state = "header";
    this.handler.entryEnd();
  }
}

function wholeBlocks(bytes: number): number {
  return Math.ceil(bytes / BLOCK) * BLOCK;
}

function headerOf(block: Buffer): Header {
  try {
    return new Header(block);
  } catch {
    // A number that JavaScript can't represent.
    throw corrupt(NO_HEADER);
  }
}

function pax(body: Buffer): Map<string, string> {
  try {
    return parsePax(body);
  } catch (error) {
    throw error instanceof PaxError ? corrupt(error.message) : error;
  }
}

/** A GNU long name ends with a NUL. One in the middle stays, and is refused with the name. */
function withoutEnd(body: Buffer): string {
  return body.toString("utf8").replace(/\0+$/, "");
}
