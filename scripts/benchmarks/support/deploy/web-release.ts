import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { repository } from "../../../../test/support/release.ts";

/** A version of the example app: a directory to run it from, and the same as an archive. */
export interface WebRelease {
  version: string;
  directory: string;
  archive: string;
}

export async function buildWeb(version: string, into: string): Promise<WebRelease> {
  const build = join(repository, "examples/web/build.mjs");
  const { stdout } = await promisify(execFile)(process.execPath, [build, version, into, "--json"]);
  const { directory, path } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as { directory: string; path: string };
  return { version, directory, archive: path };
}
