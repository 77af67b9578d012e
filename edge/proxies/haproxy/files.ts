import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { syncDirectory, writeSynced } from "../../../daemon/durable-file.ts";
import { withServiceNames } from "./servers-state.ts";

/** The contents of the files that HAProxy starts from: the map of versions and the state of its servers. */
export interface TableFiles {
  routes: string;
  state: string;
}

const GENERATION = /^table-[0-9a-z]+$/;
const ROUTES = "routes.map";
const STATE = "servers.state";

/**
 * Replaces both files at once; durable when it resolves. They belong together, so each generation is a new directory
 * with both files, and the link `current` is renamed to point to it.
 */
export async function writeTableFiles(directory: string, { routes, state }: TableFiles): Promise<void> {
  const { name, others } = makeGeneration(directory);
  const into = join(directory, name);
  try {
    // In parallel, so that the file system commits them together.
    await Promise.all([writeSynced(join(into, ROUTES), routes, 0o644), writeSynced(join(into, STATE), state, 0o644)]);
    await syncDirectory(into);
    linkCurrent(directory, name);
  } catch (error) {
    rmSync(into, { recursive: true, force: true });
    throw error;
  }
  await syncDirectory(directory);
  for (const other of others) rmSync(join(directory, other), { recursive: true, force: true });
}

/**
 * Creates missing files, for an empty table: every request is answered with 503. HAProxy does not start without them.
 * Existing ones get the names of this service, if an older slotd-edge wrote them.
 */
export function ensureTableFiles(directory: string, service: string): void {
  const current = join(directory, "current");
  if (existsSync(current) && lstatSync(current).isSymbolicLink()) {
    renameInState(current, service);
    return;
  }
  const { name } = makeGeneration(directory);
  writeFileSync(join(directory, name, ROUTES), "", { flush: true });
  writeFileSync(join(directory, name, STATE), "1\n", { flush: true });
  linkCurrent(directory, name);
}

function renameInState(current: string, service: string): void {
  // The edge may replace the directory meanwhile: what it writes has the names.
  const directory = realpathSync(current);
  const file = join(directory, STATE);
  const before = readFileSync(file, "utf8");
  const after = withServiceNames(service, before);
  if (after === before) return;
  writeFileSync(`${file}.tmp`, after, { mode: 0o644, flush: true });
  renameSync(`${file}.tmp`, file);
}

/** @returns its name, and the names of all other generations */
function makeGeneration(directory: string): { name: string; others: string[] } {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const others = readdirSync(directory).filter((name) => GENERATION.test(name));
  let number = Date.now();
  while (others.includes(`table-${number.toString(36)}`)) number++;
  const name = `table-${number.toString(36)}`;
  mkdirSync(join(directory, name), { mode: 0o755 });
  return { name, others };
}

function linkCurrent(directory: string, name: string): void {
  const link = join(directory, "current.tmp");
  rmSync(link, { force: true });
  symlinkSync(name, link);
  renameSync(link, join(directory, "current"));
}
