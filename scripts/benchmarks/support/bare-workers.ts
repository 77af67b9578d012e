import type { ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { Listener } from "../../../agent/os/listener.ts";
import { freePorts } from "../../../test/support/ports.ts";
import { appFile, untilAnswers } from "./app.ts";
import { start, temporaryDirectory } from "./processes.ts";
import { openReusePort } from "./reuse-port.ts";
import type { Run } from "./run.ts";

/** Workers with a socket by systemd's protocol, and no agent: what a slot is made of. */
export interface BareWorkers {
  port: number;
  children: ChildProcess[];
  /** Where they write their counts. */
  counts: string;
}

/** As the agent does it: sets LISTEN_PID to the worker's own pid, which only the worker can know. */
const LAUNCHER = 'export LISTEN_PID=$$; exec "$@"';

/**
 * Starts workers on one port.
 * @param sockets `shared`: one socket for all, as in a slot. `one-each`: one SO_REUSEPORT socket per worker. All are
 * held here.
 */
export async function startBareWorkers(
  run: Run,
  workers: number,
  sockets: "shared" | "one-each",
): Promise<BareWorkers> {
  const [port] = (await freePorts(1)) as [number];
  const counts = temporaryDirectory(run, "counts");
  const held = open(sockets, workers, port);
  run.own(() => {
    for (const socket of held) socket.close();
  });
  const children: ChildProcess[] = [];
  for (let number = 0; number < workers; number++) {
    const fd = (held[number % held.length] as { fd: number }).fd;
    const output = openSync(join(counts, `${number}.log`), "a");
    const environment = { LISTEN_FDS: "1", LISTEN_FDNAMES: "http", PORT: String(port), COUNTS_DIRECTORY: counts };
    try {
      children.push(
        await start(run, "/bin/sh", ["-c", LAUNCHER, "sh", process.execPath, appFile], {
          env: { ...process.env, ...environment },
          detached: true,
          stdio: ["ignore", output, output, fd],
        }),
      );
    } finally {
      closeSync(output);
    }
  }
  await untilAnswers(port);
  return { port, children, counts };
}

function open(sockets: "shared" | "one-each", workers: number, port: number): { fd: number; close(): void }[] {
  if (sockets === "shared") return [Listener.open("127.0.0.1", port)];
  return Array.from({ length: workers }, () => openReusePort("127.0.0.1", port));
}
