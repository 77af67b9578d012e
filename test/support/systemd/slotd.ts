import type { HostStatus, SlotStatus, WorkerStatus } from "../../../protocol/host-status.ts";
import { until } from "../until.ts";
import type { SystemdHost } from "./host.ts";

/** The runtime that the package brings. */
export const PACKAGED_NODE = "/usr/lib/slotd/bin/node";

/** A booted host, of either kind. */
type Booted = Pick<SystemdHost, "run" | "show">;

/** What the last line of a command's --json says. */
export async function jsonOf<T>(run: (command: string) => Promise<{ stdout: string }>, command: string): Promise<T> {
  const { stdout } = await run(`${command} --json`);
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as T;
}

/** The packaged agent of a booted host, which need not be there before the first call. */
export function packagedAgent(host: () => Booted, unit: string) {
  const json = <T>(command: string) => jsonOf<T>((text) => host().run(text), command);
  const status = () => json<HostStatus>("slotctl status");
  const agent = () => host().show(unit, "MainPID");
  return {
    json,
    status,
    /** Its pid; "0" while it does not run. */
    agent,
    slots: async () => Object.values((await status()).slots) as SlotStatus[],
    pids: async () => (await json<WorkerStatus[]>("slotctl workers")).map(({ pid }) => pid).sort((x, y) => x - y),
    install: (version: string, slot: string, check = true) =>
      host().run(`slotd-controller install web ${version} --slot ${slot} --host h1 --wait --timeout 60000`, { check }),
    /** Waits until an agent other than that one has `ready` workers serving in each slot. */
    untilServing: (before: string, ready: number) =>
      until(
        "another agent has both slots serving",
        async () => {
          const pid = await agent();
          if (pid === before || pid === "0" || (await host().show(unit, "ActiveState")) !== "active") return null;
          const seen = await status();
          const slots = Object.values(seen.slots);
          const serve = slots.every(({ state, workers }) => state === "serving" && workers.ready === ready);
          return serve ? seen : null;
        },
        { everyMs: 100 },
      ),
  };
}

/** A configuration of h1 for tests; more of it may follow. */
export function webConfiguration(app: { command: string; workers: number; more?: string }): string {
  const { command, workers, more = "" } = app;
  return `service = "web"
host = "h1"
bind = "127.0.0.1"
app = { command = ["${PACKAGED_NODE}", "${command}"], workers = ${workers}${more} }
health = { path = "/", interval_ms = 100 }
readiness = { hold_ms = 50 }
drain = { pause_ms = 50, timeout_ms = 2000, quiet_ms = 200 }
`;
}
