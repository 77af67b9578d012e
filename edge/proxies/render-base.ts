import { existsSync, lchownSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { ConfigInvalidError } from "../../protocol/errors.ts";
import type { VersionNaming } from "../table/table.ts";
import { kindOf, type ProxySettings } from "./kinds.ts";

/**
 * Returns the configuration to start the proxy with as text: HAProxy's configuration, or Varnish's VCL. Creates missing
 * files that the proxy reads when it starts, for an empty table; existing ones stay.
 * @throws ConfigInvalidError if the proxy runs inside slotd-edge, or its directory can't be written
 */
export async function renderBase(service: string, settings: ProxySettings, naming: VersionNaming): Promise<string> {
  const { base } = kindOf(settings);
  if (base === null) {
    throw new ConfigInvalidError(
      "proxy.kind",
      `is "${settings.kind}", which runs inside slotd-edge: nothing to render`,
    );
  }
  return ownedAsDirectory(base.directory(settings), () => base.prepare(service, settings, naming));
}

/**
 * Creates files in a directory. If root runs this, they get the owner of the directory, or of its nearest existing
 * parent: the edge runs as its own user and must be able to replace them.
 */
async function ownedAsDirectory<T>(directory: string, create: () => Promise<T>): Promise<T> {
  let existing = directory;
  while (!existsSync(existing)) existing = dirname(existing);
  const before = new Set(pathsBelow(existing, directory));
  try {
    const created = await create();
    if (process.getuid?.() !== 0) return created;
    const { uid, gid } = statSync(existing);
    for (const path of pathsBelow(existing, directory)) if (!before.has(path)) lchownSync(path, uid, gid);
    return created;
  } catch (cause) {
    if (!(cause as NodeJS.ErrnoException).syscall) throw cause;
    throw new ConfigInvalidError("proxy.directory", `can't be written (${(cause as Error).message})`, { cause });
  }
}

/** The directories from `existing` (not included) down to `directory`, and everything in the latter. */
function pathsBelow(existing: string, directory: string): string[] {
  if (!existsSync(directory)) return [];
  const directories: string[] = [];
  for (let path = directory; path !== existing; path = dirname(path)) directories.push(path);
  const contents = readdirSync(directory, { recursive: true, encoding: "utf8" }).map((name) => join(directory, name));
  return [...directories, ...contents];
}
