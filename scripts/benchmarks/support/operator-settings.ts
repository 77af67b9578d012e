import type { Settings } from "../../../test/support/agent/host.ts";

/** What an operator gets, but for the number of workers: tests' own settings are left out. */
export function operatorSettings(workers: number): Settings {
  return {
    app: {
      command: [process.execPath, "server.mjs"],
      workers,
      stop_grace_ms: undefined,
      restart_backoff_min_ms: undefined,
    },
    ...{ health: undefined, readiness: undefined, drain: undefined, releases: undefined },
    logs: { level: "info" },
  };
}
