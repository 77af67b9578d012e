import type { Routes } from "../../../../protocol/routes.ts";
import type { UsersReport, WrongAnswers } from "../../../../test/support/users/tally.ts";
import type { Stored } from "./bus-record.ts";

/**
 * The answers from a version other than the one asked for that was served all the while. Once a version has left the
 * routes its users get the default one, and that is meant; whatever was answered otherwise before that, or after the
 * version had come back, is not.
 * @param routes every change of them, the oldest first
 */
export function wronglyAnswered(
  { startedAt, wrong }: Pick<UsersReport, "startedAt" | "wrong">,
  routes: readonly Stored<Routes>[],
): WrongAnswers[] {
  const beganMs = Date.parse(startedAt);
  return wrong.filter(({ asked, firstAtMs, lastAtMs }) => {
    const from = beganMs + firstAtMs;
    const to = beganMs + lastAtMs;
    const last = routes.findLastIndex(({ atMs }) => atMs <= to);
    const left = leavingOf(asked, routes, last);
    return left === null || from < left;
  });
}

/** When a version left the routes for the last time up to a change; null where it stands in them then. */
function leavingOf(version: string, routes: readonly Stored<Routes>[], upTo: number): number | null {
  let left: number | null = null;
  for (const { atMs, value } of routes.slice(0, upTo + 1)) {
    if (value.serving.includes(version)) left = null;
    else left ??= atMs;
  }
  return left;
}
