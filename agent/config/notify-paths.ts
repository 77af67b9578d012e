import { basename, dirname, join } from "node:path";
import type { Config } from "./schema.ts";

/** The parts of the configuration that say what is asked of a single worker. */
export type NotifyConfig = Pick<Config, "readiness" | "liveness" | "watchdog" | "recycle">;

/**
 * The files of one process: where it reports, where it is probed, and an empty one that is there until it has
 * come up.
 */
export interface NotifyPaths {
  notify: string;
  live: string;
  starting: string;
}

/** Whether workers are to tell something of themselves by sd_notify(3). */
export function needsNotify({ readiness, watchdog, recycle }: NotifyConfig): boolean {
  return readiness.by === "notify" || watchdog.timeout_ms !== undefined || recycle.requests !== undefined;
}

/**
 * Where the sockets of a service's workers are. Beside the control socket, since there the names are short and nothing
 * outlives a boot.
 */
export function notifyDirectory({ control }: Pick<Config, "control">): string {
  return `${control.socket.replace(/\.sock$/, "")}.workers`;
}

/** @param stem what the names of one process's files have in common */
export function notifyPaths(stem: string): NotifyPaths {
  return { notify: `${stem}.notify`, live: `${stem}.live`, starting: `${stem}.starting` };
}

/**
 * The common part of the names of a process's files, by one of them.
 * @returns null where it is no such file: a process may say anything of itself
 */
export function stemOf(path: string, directory: string): { stem: string; slot: string; worker: number } | null {
  const [, slot, worker, mark] = /^(.+)-(\d+)-([0-9a-f]{6})\.(?:notify|live|starting)$/.exec(basename(path)) ?? [];
  if (slot === undefined || dirname(path) !== directory) return null;
  return { stem: join(directory, `${slot}-${worker}-${mark}`), slot, worker: Number(worker) };
}

/** The longest path of such a socket that a configuration can lead to; null where it asks for none. */
export function longestNotifyPath(config: NotifyConfig & Pick<Config, "control" | "slots">): string | null {
  if (!needsNotify(config) && config.liveness.path === undefined) return null;
  const longest = Object.entries(config.slots).map(([slot, { workers }]) => `${slot}-${workers}-ffffff.notify`);
  return join(notifyDirectory(config), longest.sort((x, y) => y.length - x.length)[0] as string);
}
