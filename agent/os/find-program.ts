import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The file that a program's name stands for on a PATH; null if there is none. */
export function findProgram(name: string, path: string): string | null {
  const files = path
    .split(delimiter)
    .filter(Boolean)
    .map((directory) => join(directory, name));
  return files.find((file) => whyNotRunnable(file) === null) ?? null;
}

/** Why a file can't be run; null: it can. */
export function whyNotRunnable(file: string): string | null {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile() ? null : "it is not a file";
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return "it does not exist";
    return code === "EACCES" ? "it is not executable" : message;
  }
}
