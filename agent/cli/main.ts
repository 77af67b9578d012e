#!/usr/bin/env node
import { hostname, userInfo } from "node:os";
import process from "node:process";
import pc from "picocolors";
import { exitCodes } from "../../protocol/exit-codes.ts";
import type { CliContext } from "./context.ts";
import { run } from "./run.ts";

const { env, stdout } = process;

// A reader that closes the pipe (`slotctl events | head`) is not a failure.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(exitCodes.done);
  });

// The first signal ends the command cleanly. A second one has no handler and kills the process.
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());

const context: CliContext = {
  write: (text) => stdout.write(text),
  writeError: (text) => process.stderr.write(text),
  terminal: () => (stdout.isTTY ? { columns: stdout.columns || 80, rows: stdout.rows || 24 } : null),
  colors: pc.createColors(stdout.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb"),
  showsProgress: process.stderr.isTTY === true,
  signal: stop.signal,
  socket: env.SLOTD_SOCKET,
  sourceDateEpoch: env.SOURCE_DATE_EPOCH,
  path: env.PATH ?? "",
  user: `${env.SUDO_USER ?? userName()}@${hostname()}`,
  runDirectory: "/run/slotd",
  configDirectory: "/etc/slotd",
};

process.exit(await run(process.argv.slice(2), context));

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.()}`; // no entry in the user database
  }
}
