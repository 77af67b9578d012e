import { spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import type { Duplex, Readable } from "node:stream";
import * as zlib from "node:zlib";
import { Parser } from "tar";
import { ArgumentError } from "../errors.ts";

const GZIP = 0x1f8b;
const ZSTD = 0xfd2fb528;
/** A tar archive ends with two blocks of zeros. */
const END_BYTES = 1024;
/** What makes an archive unreadable; other warnings of the parser are about how to unpack it. */
const BROKEN = ["TAR_BAD_ARCHIVE", "TAR_ENTRY_INVALID", "TAR_ABORT"];

/**
 * Reads an archive to its end, as hosts will: a version that no host can unpack would use up its name.
 * @returns how many entries it has
 * @throws ArgumentError where it is no .tar, .tar.gz or .tar.zst, is cut off or empty
 */
export async function checkArchive(file: string): Promise<number> {
  let problem: string | null = null;
  let entries = 0;
  const parser = new Parser({
    onReadEntry: (entry) => {
      entries++;
      entry.resume();
    },
    onwarn: (code, message) => {
      if (BROKEN.includes(code)) problem ??= String(message);
    },
  });
  let tail: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of await plain(file)) {
      parser.write(chunk as Buffer);
      tail = Buffer.concat([tail, chunk as Buffer]).subarray(-END_BYTES);
    }
    parser.end();
  } catch (cause) {
    if (cause instanceof ArgumentError) throw cause;
    throw refused(file, (cause as Error).message, cause);
  }
  if (problem !== null) throw refused(file, problem);
  if (tail.length < END_BYTES || tail.some((byte) => byte !== 0)) throw refused(file, "it ends too early");
  if (entries === 0) throw refused(file, "there is nothing in it");
  return entries;
}

function refused(file: string, why: string, cause?: unknown): ArgumentError {
  const rule = `must be an archive that can be read to its end (.tar, .tar.gz or .tar.zst), and ${file} is not: ${why}`;
  return new ArgumentError("<file>", rule, cause === undefined ? {} : { cause });
}

/** The tar stream in a file. */
async function plain(file: string): Promise<AsyncIterable<unknown>> {
  const { bytes, sizeBytes } = await beginning(file);
  const stream = createReadStream(file);
  if (bytes.length >= 2 && bytes.readUInt16BE(0) === GZIP) return gunzipped(stream, sizeBytes);
  return bytes.length >= 4 && bytes.readUInt32LE(0) === ZSTD ? unzstd(stream) : stream;
}

async function beginning(file: string): Promise<{ bytes: Buffer; sizeBytes: number }> {
  try {
    const handle = await open(file, "r");
    try {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0);
      return { bytes: buffer.subarray(0, bytesRead), sizeBytes: (await handle.stat()).size };
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw new ArgumentError("<file>", `can't be read: ${(cause as Error).message}`, { cause });
  }
}

async function* gunzipped(stream: Readable, sizeBytes: number): AsyncGenerator<Buffer, void> {
  const gunzip = zlib.createGunzip();
  stream.on("error", (error) => gunzip.destroy(error));
  yield* stream.pipe(gunzip);
  // Node ignores what follows the compressed data; hosts don't.
  if (gunzip.bytesWritten !== sizeBytes) throw new Error("something follows the compressed data");
}

/** Node has zstd since 22.15; before, the command does it. */
function unzstd(stream: Readable): AsyncIterable<unknown> {
  const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Duplex };
  if (createZstdDecompress === undefined) return throughCommand(stream);
  const decompress = createZstdDecompress();
  stream.on("error", (error) => decompress.destroy(error));
  return stream.pipe(decompress);
}

async function* throughCommand(stream: Readable): AsyncGenerator<Buffer, void> {
  const child = spawn("zstd", ["-dcq"], { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-500);
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once("error", (cause) => reject(new Error("zstd is not installed here: install it, or use gzip", { cause })));
    child.once("close", (code) => (code === 0 ? resolve() : reject(new Error(`zstd: ${said.trim()}`))));
  });
  ended.catch(() => {});
  // A command that has ended accepts no more input; its end says why.
  child.stdin.on("error", () => stream.destroy());
  stream.pipe(child.stdin);
  try {
    yield* child.stdout;
    await ended;
  } finally {
    child.kill();
    stream.destroy();
  }
}
