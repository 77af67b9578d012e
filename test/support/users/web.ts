import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { promisify } from "node:util";
import { repository } from "../release.ts";

/** The example app, as one process with a port of its own. */
export interface Web {
  url: string;
  child: ChildProcess;
  /** SIGKILL, also where it has ended. */
  kill(): Promise<void>;
}

/** Builds a version of the app into a directory, and serves it on a free port, or on the given one. */
export async function startWeb(version: string, into: string, port = 0): Promise<Web> {
  const build = join(repository, "examples/web/build.mjs");
  const { stdout } = await promisify(execFile)(process.execPath, [build, version, into, "--json"]);
  const { directory } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as { directory: string };
  const child = spawn(process.execPath, ["server.mjs"], {
    cwd: directory,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, PORT: String(port), LISTEN_FDS: undefined },
  });
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  const [line] = (await Promise.race([once(child.stdout, "data"), once(child, "exit")])) as [unknown];
  const heard = /:(\d+)\n/.exec(String(line))?.[1];
  if (heard === undefined) {
    await kill();
    throw new Error(`the app did not start: ${line}`);
  }
  return { url: `http://127.0.0.1:${heard}`, child, kill };
}
