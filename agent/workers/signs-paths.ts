import { join } from "node:path";
import type { Config } from "../config/schema.ts";

/** The parts of the configuration that say what is asked of a single worker. */
export type SignsConfig = Pick<Config, "readiness" | "liveness" | "watchdog" | "recycle">;

/** Whether workers are to tell something of themselves by sd_notify(3). */
export function isTold({ readiness, watchdog, recycle }: SignsConfig): boolean {
  return readiness.by === "notify" || watchdog.timeout_ms !== undefined || recycle.requests !== undefined;
}

/** Where the sockets of a service's workers are. Beside the control socket, since there the names are short and nothing outlives a boot. */
export function signsDirectory({ control }: Pick<Config, "control">): string {
  return `${control.socket.replace(/\.sock$/, "")}.workers`;
}

/** The longest path of such a socket that a configuration can lead to; null where it asks for none. */
export function longestSignsPath(config: SignsConfig & Pick<Config, "control" | "slots">): string | null {
  if (!isTold(config) && config.liveness.path === undefined) return null;
  const longest = Object.entries(config.slots).map(([slot, { workers }]) => `${slot}-${workers}-ffffff.notify`);
  return join(signsDirectory(config), longest.sort((x, y) => y.length - x.length)[0] as string);
}
