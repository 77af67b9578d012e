import { spawn, spawnSync } from "node:child_process";
import { Duplex } from "node:stream";
import * as zlib from "node:zlib";

/** Node has zstd since 22.15; before, the command does it. */
type MaybeZstd = {
  createZstdCompress?: (options?: object) => Duplex;
  createZstdDecompress?: (options?: object) => Duplex;
};
const native = zlib as MaybeZstd;

/** The compression level of `ZSTD_c_compressionLevel`, zstd.h. */
const LEVEL_PARAMETER = 100;

/** Whether zstd archives can be read and written here. */
export function hasZstd(): boolean {
  return (
    native.createZstdDecompress !== undefined || spawnSync("zstd", ["--version"], { stdio: "ignore" }).status === 0
  );
}

export function zstdDecompress(chunkSize: number): Duplex {
  return native.createZstdDecompress?.({ chunkSize }) ?? throughCommand(["-dc"]);
}

/** The same input gives the same bytes, with the same version of zstd: one thread, no times in it. */
export function zstdCompress(level: number): Duplex {
  return (
    native.createZstdCompress?.({ params: { [LEVEL_PARAMETER]: level } }) ??
    throughCommand(["-c", `-${level}`, "--single-thread", "--no-check"])
  );
}

/** The command as a stream. What it says of bad input is the stream's error. */
function throughCommand(args: string[]): Duplex {
  const child = spawn("zstd", ["-q", ...args], { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-500);
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once("error", (cause) => reject(new Error("zstd is not installed: install it, or use gzip", { cause })));
    child.once("close", (code) =>
      code === 0 ? resolve() : reject(new Error(`zstd: ${said.trim() || `exit ${code}`}`)),
    );
  });
  ended.catch(() => {});
  // A command that has ended accepts no more input; the reason is reported at the end.
  child.stdin.on("error", () => {});
  async function* output() {
    try {
      yield* child.stdout;
      await ended;
    } finally {
      child.kill();
      // A thread that ended before its child's end was seen would leave a zombie behind.
      await ended.catch(() => {});
    }
  }
  const stream = Duplex.from({ writable: child.stdin, readable: output() });
  // Of a stream that nobody began to read, `output` never ran.
  return stream.once("close", () => child.kill());
}
