import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/**
 * The sources of all test files below a repository's top, sorted. What was compiled from a source that is gone is not
 * among them.
 */
export function testFiles(top: string): string[] {
  return readdirSync(join(top, "test"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".test.ts"))
    .map((path) => join("test", path))
    .sort();
}

/** Where the compiler puts a source. */
export function compiled(path: string): string {
  return join("dist", path.replace(/\.ts$/, ".js"));
}

/** What starts a server, a process that keeps running, or a wait, by the module that it is imported from. */
const SLOW: [module: RegExp, names: RegExp][] = [
  [/^node:child_process$/, /^(spawn|exec|execFile|fork)$/],
  [/^node:(net|http|https|tls)$/, /^(createServer|connect|createConnection|request|get|Agent|Server|Socket)$/],
  [/^node:(dgram|worker_threads)$/, /./],
  [/^node:timers\/promises$/, /./],
  [/^@nats-io\/(transport-node|jetstream|kv|obj|services)$/, /./],
  [/(^|\/)support\/until\.ts$/, /^until$/],
];

const IMPORT = /^(?:import|export)\s+(type\s+)?(?:([^;"]*?)\s+from\s+)?"([^"]+)";/gm;

interface Import {
  from: string;
  /** Values only; types are gone when a test runs. */
  names: string[];
}

/** A text's imports of values. */
export function importsOf(text: string): Import[] {
  return [...text.matchAll(IMPORT)].flatMap(([, type, named = "", from = ""]) => {
    const words = named.replaceAll(/[{}]/g, "").split(",");
    const names = words.map((word) => word.trim().replace(/ as .*/, "")).filter((name) => name && !/^type /.test(name));
    return type || (named && names.length === 0) ? [] : [{ from, names }];
  });
}

/**
 * Why a test is not quick: the first import, by it or by what it imports of test/ and scripts/, of something that
 * serves, keeps running or waits. Null for a quick one. It says nothing of how long the product's own code takes.
 */
export function whySlow(top: string, path: string, seen: Set<string> = new Set()): string | null {
  seen.add(path);
  for (const { from, names } of importsOf(readFileSync(join(top, path), "utf8"))) {
    const name = SLOW.flatMap(([module, slow]) => (module.test(from) ? names.filter((one) => slow.test(one)) : []))[0];
    if (name !== undefined) return `${path} imports ${name} from ${from}`;
    const target = from.startsWith(".") ? normalize(join(dirname(path), from)) : "";
    if (!/^(test|scripts)\/.*\.ts$/.test(target) || seen.has(target) || !existsSync(join(top, target))) continue;
    const why = whySlow(top, target, seen);
    if (why !== null) return why;
  }
  return null;
}
