import { readdirSync, statSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import type { Config } from "../../config/schema.ts";
import { findProgram, whyNotRunnable } from "../../os/find-program.ts";
import { type Check, fail, ok, reason, warn } from "./check.ts";

const name = "app command";

/** Whether the app's program exists: on the PATH, or in the newest release if its name has a `/`. */
export function checkCommand(config: Pick<Config, "app" | "state_directory">, path: string): Check {
  const { app, state_directory } = config;
  const program = app.command?.[0];
  if (program === undefined) return ok(name, "set by the releases: [app] command is not set");
  if (!program.includes("/")) return onPath(program, app.environment.PATH ?? path);
  if (isAbsolute(program)) return runnable(program);
  const releases = join(state_directory, "releases");
  const tree = newestTree(releases);
  if (tree.path === null)
    return warn(name, `${program} can't be looked up: ${tree.why}`, "install a release, then run doctor again");
  return runnable(resolve(tree.path, app.working_directory, program));
}

function onPath(program: string, path: string): Check {
  const file = findProgram(program, path);
  if (file !== null) return ok(name, `${program} is ${file}`);
  return fail(
    name,
    `${program} is not on the PATH (${path})`,
    "install it, or set app.command or app.environment.PATH",
  );
}

function runnable(file: string): Check {
  const why = whyNotRunnable(file);
  if (why === null) return ok(name, `${file} can be run`);
  return fail(
    name,
    `${file} can't be run (${why})`,
    "fix app.command or app.working_directory, or make the file executable in the release",
  );
}

function newestTree(releases: string): { path: string } | { path: null; why: string } {
  try {
    const trees = readdirSync(releases)
      .map((version) => join(releases, version, "tree"))
      .flatMap((path) => {
        const stats = statSync(path, { throwIfNoEntry: false });
        return stats?.isDirectory() ? [{ path, madeMs: stats.ctimeMs }] : [];
      })
      .sort((a, b) => b.madeMs - a.madeMs);
    return trees[0] ?? { path: null, why: "no release yet" };
  } catch (error) {
    return { path: null, why: reason(error) === "ENOENT" ? "no release yet" : `${releases}: ${reason(error)}` };
  }
}
