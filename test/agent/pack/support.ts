import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import { parsePackage, type ReleasePackage, toRelease } from "../../../protocol/package.ts";
import type { Release } from "../../../protocol/release.ts";
import { type Ended, slotctl } from "../cli/support/slotctl.ts";

/** Writes files, by path and text. */
export async function fill(directory: string, files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
}

/** Incompressible bytes, so that a delta is worthwhile. */
export const ballast: string = Array.from({ length: 500 }, (_, i) =>
  createHash("sha256").update(`${i}`).digest("hex"),
).join("");

export interface PackEnd extends Ended {
  path: string;
  description: ReleasePackage;
}

/** Packs with the compiled command, and asserts that it succeeds. */
export async function pack(t: TestContext, args: string[], env: Record<string, string> = {}): Promise<PackEnd> {
  const ended = await slotctl(t, ["pack", ...args, "--json"], { env });
  if (ended.exitCode !== 0) throw new Error(`slotctl pack ${args.join(" ")}: ${ended.stderr}`);
  const path = JSON.parse(ended.stdout).description as string;
  return { ...ended, path, description: parsePackage(await readFile(path, "utf8"), path) };
}

/** The packed release, with file URLs. */
export function releaseOf({ path, description }: PackEnd, format: "gz" | "zst" = "gz"): Release {
  const addressOf = (file: string) => ({ url: pathToFileURL(join(dirname(path), file)).href, mirrors: [] });
  return toRelease(description, format, addressOf) as Release;
}

/** The names and digests of a directory's files. */
export async function digests(directory: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of (await readdir(directory)).sort())
    found[name] = createHash("sha256")
      .update(await readFile(join(directory, name)))
      .digest("hex");
  return found;
}
