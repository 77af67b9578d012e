import {
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

const GENERATION = /^table-[0-9a-z]+$/;

/**
 * The map and the servers' state that HAProxy starts from. They belong together, so that they are replaced together: both are written
 * into a directory of their own, and a link is renamed to it.
 */
export function writeTableFiles(directory: string, files: { routes: string; state: string }): void {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const taken = readdirSync(directory).filter((name) => GENERATION.test(name));
  let number = Date.now();
  while (taken.includes(`table-${number.toString(36)}`)) number++;
  const name = `table-${number.toString(36)}`;
  const into = join(directory, name);
  mkdirSync(into, { mode: 0o755 });
  try {
    writeSynced(join(into, "routes.map"), files.routes);
    writeSynced(join(into, "servers.state"), files.state);
    sync(into);
    const link = join(directory, "current.tmp");
    rmSync(link, { force: true });
    symlinkSync(name, link);
    renameSync(link, join(directory, "current"));
  } catch (error) {
    rmSync(into, { recursive: true, force: true });
    throw error;
  }
  sync(directory);
  for (const old of taken) rmSync(join(directory, old), { recursive: true, force: true });
}

/** Without them HAProxy does not start with the base configuration. An empty table is one where every request is answered with 503. */
export function ensureTableFiles(directory: string): void {
  if (existsSync(join(directory, "current")) && lstatSync(join(directory, "current")).isSymbolicLink()) return;
  writeTableFiles(directory, { routes: "", state: "1\n" });
}

function writeSynced(path: string, text: string): void {
  const fd = openSync(path, "wx", 0o644);
  try {
    writeFileSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function sync(directory: string): void {
  const fd = openSync(directory, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
