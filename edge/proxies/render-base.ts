import { existsSync, lchownSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { ConfigInvalidError } from "../../protocol/errors.ts";
import type { Config } from "../config/schema.ts";

/**
 * What the configured proxy is to be started with, as text: HAProxy's configuration, or Varnish's VCL. The files that the proxy reads when
 * it starts are made, for an empty table, where there are none yet; those that are there stay.
 * @throws ConfigInvalidError where the proxy is not started apart from the edge, or its directory can't be written
 */
export async function renderBase({ proxy, naming }: Config): Promise<string> {
  const { header, cookie = null, query = null } = naming;
  const names = { header, cookie, query };
  switch (proxy.kind) {
    case "builtin":
      throw new ConfigInvalidError(
        "proxy.kind",
        'is "builtin", a router within slotd-edge: there is nothing to render',
      );
    case "varnish": {
      const { prepareVarnish } = await import("./varnish/index.ts");
      return asOwnerAround(proxy.directory, () => prepareVarnish(proxy, names));
    }
    case "haproxy": {
      const { prepareHaproxy } = await import("./haproxy/index.ts");
      return asOwnerAround(proxy.directory, () => prepareHaproxy(proxy, names));
    }
  }
}

/**
 * Makes files in a directory. Run by root, they belong to whom the directory belongs, or the nearest one around it that was there: the
 * edge, which has a user of its own, has to be able to replace them.
 */
function asOwnerAround<T>(directory: string, make: () => T): T {
  let around = directory;
  while (!existsSync(around)) around = dirname(around);
  const before = new Set(below(around, directory));
  try {
    const made = make();
    if (process.getuid?.() !== 0) return made;
    const { uid, gid } = statSync(around);
    for (const path of below(around, directory)) if (!before.has(path)) lchownSync(path, uid, gid);
    return made;
  } catch (cause) {
    if (!(cause as NodeJS.ErrnoException).syscall) throw cause;
    throw new ConfigInvalidError("proxy.directory", `can't be written (${(cause as Error).message})`, { cause });
  }
}

/** The directories from one down to another, without the first, and all that is in the last. */
function below(around: string, directory: string): string[] {
  if (!existsSync(directory)) return [];
  const way: string[] = [];
  for (let path = directory; path !== around; path = dirname(path)) way.push(path);
  const inside = readdirSync(directory, { recursive: true, encoding: "utf8" }).map((name) => join(directory, name));
  return [...way, ...inside];
}
