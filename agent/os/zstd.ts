import { spawn, spawnSync } from "node:child_process";
import { Duplex } from "node:stream";
import * as zlib from "node:zlib";

/** Node has zstd since 22.15. Older versions use the zstd command. */
type MaybeZstd = {
  createZstdCompress?: (options?: object) => Duplex;
  createZstdDecompress?: (options?: object) => Duplex;
};
const native = zlib as MaybeZstd;

/** `ZSTD_c_compressionLevel` in zstd.h. */
const LEVEL_PARAMETER = 100;

/** Whether this host can read and write zstd archives. */
export function hasZstd(): boolean {
  return (
    native.createZstdDecompress !== undefined || spawnSync("zstd", ["--version"], { stdio: "ignore" }).status === 0
  );
}

export function zstdDecompress(chunkSize: number): Duplex {
  return native.createZstdDecompress?.({ chunkSize }) ?? throughCommand(["-dc"]);
}

/** Deterministic for a given version of zstd: one thread, no timestamps. */
export function zstdCompress(level: number): Duplex {
  return (
    native.createZstdCompress?.({ params: { [LEVEL_PARAMETER]: level } }) ??
    throughCommand(["-c", `-${level}`, "--single-thread", "--no-check"])
  );
}

/** The zstd command as a stream. Its stderr becomes the stream's error. */
function throughCommand(args: string[]): Duplex {
  const child = spawn("zstd", ["-q", ...args], { stdio: ["pipe", "pipe", "pipe"] });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-500);
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once("error", (cause) => reject(new Error("zstd is not installed: install it, or use gzip", { cause })));
    child.once("close", (code) =>
      code === 0 ? resolve() : reject(new Error(`zstd: ${stderr.trim() || `exit ${code}`}`)),
    );
  });
  ended.catch(() => {});
  // Writing to an ended command fails; `ended` has the reason.
  child.stdin.on("error", () => {});
  async function* output() {
    try {
      yield* child.stdout;
      await ended;
    } finally {
      child.kill();
      // If the thread ends before its child is reaped, a zombie remains.
      await ended.catch(() => {});
    }
  }
  const stream = Duplex.from({ writable: child.stdin, readable: output() });
  // `output` never runs if nobody reads the stream.
  return stream.once("close", () => child.kill());
}
