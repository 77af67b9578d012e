import { fileURLToPath } from "node:url";
import type { WorkerSpec } from "./spec.ts";

/** The first descriptor that a process can inherit beside its standard streams. */
const FIRST = 3;
const PRELOAD = fileURLToPath(new URL("./node-listen.cjs", import.meta.url));

/**
 * The variables that tell a worker where to listen, as `app.listen` asks: systemd's activation protocol
 * (sd_listen_fds_with_names(3); the launcher sets LISTEN_PID), or what `node-listen.cts` needs to know.
 * @param environment that the worker gets otherwise
 * @param descriptors that the worker inherits
 */
export function listeningVariables(
  { config: { app }, port }: Pick<WorkerSpec, "config" | "port">,
  environment: NodeJS.ProcessEnv,
  descriptors: readonly { name: string }[],
): Record<string, string> {
  if (descriptors.length === 0) return {};
  const names = descriptors.map(({ name }) => name);
  if (app.listen === "socket") return { LISTEN_FDS: String(names.length), LISTEN_FDNAMES: names.join(":") };
  const liveness = names.indexOf("liveness");
  return {
    NODE_OPTIONS: [`--require=${JSON.stringify(PRELOAD)}`, environment.NODE_OPTIONS ?? ""].join(" ").trim(),
    SLOTD_LISTEN_PORT: String(port),
    SLOTD_LISTEN_FD: String(FIRST + names.indexOf("http")),
    ...(liveness >= 0 && { SLOTD_LIVENESS_FD: String(FIRST + liveness) }),
    SLOTD_STOP_SIGNAL: app.stop_signal,
  };
}
