import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../support/release.ts";

export interface Source {
  /** From the repository's top. */
  path: string;
  text: string;
}

/** The TypeScript sources under some folders, also those that are not committed yet. */
export function sources(...folders: string[]): Source[] {
  const listed = ["ls-files", "-co", "--exclude-standard", "--", ...folders];
  const paths = execFileSync("git", listed, { cwd: repository, encoding: "utf8" }).split("\n");
  return paths
    .filter((path) => /\.c?ts$/.test(path))
    .flatMap((path) => {
      try {
        return [{ path, text: readFileSync(join(repository, path), "utf8") }];
      } catch {
        return []; // Deleted, and not committed yet.
      }
    });
}

/** The text without comments and what is quoted, line by line as it was. */
export function code(text: string): string {
  const pattern = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g;
  return text.replaceAll(pattern, (match) => match.replaceAll(/[^\n]/g, " "));
}

const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*"([^"]+)"/g;

/** The modules that a text imports. */
export function importsOf(text: string): string[] {
  return [...text.matchAll(IMPORT)].map(([, name]) => name as string);
}
