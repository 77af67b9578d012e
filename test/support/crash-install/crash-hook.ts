/**
 * Imported into a process, and into each of its threads, before all else: ends the process by SIGKILL just before one
 * of its calls that change the store. Each state of the disk that a kill can leave between two calls is the one before
 * some call. CRASH_DIRECTORY: the store. CRASH_AT: `main:N` or `thread:N`, the call's number in its thread, from 1.
 * CRASH_LOG in its place: a file that all calls are written to, as `main:N name`.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { isMainThread } from "node:worker_threads";

const CALLS = ["open", "mkdir", "chmod", "rename", "rm", "rmdir", "unlink", "link", "symlink", "writeFile"];
const CALLS_ON_FD = ["writeSync", "writeFileSync", "fchmodSync", "futimesSync", "fsyncSync", "closeSync"];
const METHODS = ["write", "writeFile", "sync", "truncate", "close"] as const;

type Call = (...args: unknown[]) => unknown;
type Owner = Record<string, Call>;

const { CRASH_DIRECTORY = "", CRASH_AT, CRASH_LOG } = process.env;
const { appendFileSync } = fs;
const thread = isMainThread ? "main" : "thread";
const ours = new Set<unknown>();
let calls = 0;

function boundary(name: string): void {
  calls++;
  if (CRASH_LOG) appendFileSync(CRASH_LOG, `${thread}:${calls} ${name}\n`);
  else if (CRASH_AT === `${thread}:${calls}`) process.kill(process.pid, "SIGKILL");
}

function hook(owner: Owner, name: string, seen: (result: unknown) => unknown = (result) => result): void {
  const original = owner[name];
  if (original === undefined) return;
  owner[name] = function (this: unknown, ...args: unknown[]) {
    const touches = args.slice(0, 2).some((arg) => ours.has(arg) || String(arg).startsWith(CRASH_DIRECTORY));
    if (!touches) return original.apply(this, args);
    boundary(name);
    return seen(original.apply(this, args));
  };
}

/** Remembers a descriptor, until it may be another file's. */
function remember(fd: unknown): unknown {
  ours.add(fd);
  return fd;
}

async function rememberHandle(opening: unknown): Promise<unknown> {
  const handle = (await opening) as Owner;
  for (const name of METHODS) {
    const original = handle[name] as Call;
    handle[name] = (...args) => {
      boundary(name);
      return original.apply(handle, args);
    };
  }
  return handle;
}

for (const name of CALLS) {
  hook(fs as unknown as Owner, `${name}Sync`, name === "open" ? remember : undefined);
  hook(fs.promises as unknown as Owner, name, name === "open" ? rememberHandle : undefined);
  // Those with a callback are what `rm` is made of.
  hook(fs as unknown as Owner, name);
}
for (const name of CALLS_ON_FD.filter((each) => each !== "writeFileSync")) hook(fs as unknown as Owner, name);
const { closeSync } = fs;
fs.closeSync = (fd) => {
  closeSync(fd);
  ours.delete(fd);
};
syncBuiltinESMExports();
