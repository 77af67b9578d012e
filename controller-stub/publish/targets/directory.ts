import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { link, lstat, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { PublishFailedError } from "../../../protocol/errors.ts";
import type { LocalFile } from "./local-file.ts";
import type { PublishTarget, StoredText } from "./target.ts";

/** Errors of file systems that have no hard links. */
const NO_LINKS = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"];

/**
 * A directory of this machine, or one mounted both here and on the hosts. A file there has its final name only once it
 * is whole and durable.
 */
export class DirectoryTarget implements PublishTarget {
  constructor(
    readonly where: string,
    readonly signal: AbortSignal,
  ) {}

  addressOf(name: string): string {
    return pathToFileURL(join(this.where, name)).href;
  }

  digestOf(name: string): Promise<string | null> {
    return this.coded(async () => {
      const hash = createHash("sha256");
      try {
        for await (const chunk of createReadStream(join(this.where, name))) hash.update(chunk as Buffer);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
        throw error;
      }
      return hash.digest("hex");
    });
  }

  createFile(name: string, file: LocalFile, onBytes: (doneBytes: number) => void): Promise<boolean> {
    return this.put(name, file.readChunks(this.signal, onBytes), (beside, path) => nameNew(beside, path));
  }

  fetchText(name: string): Promise<StoredText | null> {
    return this.coded(async () => {
      try {
        return { text: await readFile(join(this.where, name), "utf8"), revision: null };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
        throw error;
      }
    });
  }

  replaceText(name: string, text: string, was: StoredText | null): Promise<boolean> {
    return this.put(name, [Buffer.from(text)], async (beside, path) => {
      if (was === null) return nameNew(beside, path);
      if ((await readFile(path, "utf8").catch(() => null)) !== was.text) return false;
      await rename(beside, path);
      return true;
    });
  }

  /** Writes a partial file, makes it durable, then gives it its name. */
  private put(
    name: string,
    chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
    give: (beside: string, path: string) => Promise<boolean>,
  ): Promise<boolean> {
    return this.coded(async () => {
      const path = join(this.where, name);
      await this.makeDirectory(dirname(path));
      const beside = join(dirname(path), `.${randomBytes(8).toString("hex")}.partial`);
      try {
        const file = await open(beside, "wx", 0o644);
        try {
          for await (const chunk of chunks) await file.writeFile(chunk);
          await file.sync();
        } finally {
          await file.close();
        }
        const given = await give(beside, path);
        await syncDirectory(dirname(path));
        return given;
      } finally {
        await rm(beside, { force: true });
      }
    });
  }

  private async makeDirectory(path: string): Promise<void> {
    const first = await mkdir(path, { recursive: true });
    if (first === undefined) return;
    // The name of each new directory is an entry of the one above.
    const levels = relative(dirname(first), path).split("/").length;
    for (let i = 0, at = path; i < levels; i++) {
      at = dirname(at);
      await syncDirectory(at);
    }
  }

  /** Turns errors of the file system into errors with a code. */
  private async coded<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (cause) {
      const { code, message, syscall } = cause as NodeJS.ErrnoException;
      if (code === undefined || syscall === undefined) throw cause;
      throw new PublishFailedError(this.where, message, { cause });
    }
  }
}

/** Gives a file a name that is not taken: a rename would replace the file that has it. */
async function nameNew(beside: string, path: string): Promise<boolean> {
  try {
    await link(beside, path);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (code === "EEXIST") return false;
    if (!NO_LINKS.includes(code)) throw error;
  }
  if (await lstat(path).catch(() => null)) return false;
  await rename(beside, path);
  return true;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
