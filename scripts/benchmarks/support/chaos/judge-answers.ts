import type { EdgeStatus, Routes } from "../../../../protocol/routes.ts";
import type { SeenAnswer } from "../../../../test/support/users/tally.ts";
import type { Stored } from "../deploy/bus-record.ts";

/**
 * The answers from another version than the one asked for, although that was served all the while: it stood in every
 * set of routes that the edge could have had, from the last one that it had acknowledged before the request to the last
 * one that was written before the answer. All times are of the system's clock.
 * @param routes every change of them, the oldest first
 */
export function wrongAnswers(
  answers: readonly SeenAnswer[],
  routes: readonly Stored<Routes>[],
  acks: readonly Stored<Pick<EdgeStatus, "appliedRoutes">>[],
): SeenAnswer[] {
  return answers.filter(({ asked, fromMs, toMs }) => {
    const before = acks.filter(({ atMs }) => atMs < fromMs).map(({ value }) => value.appliedRoutes);
    const applied = Math.max(0, ...before);
    const possible = routes.filter(({ revision, atMs }) => revision >= applied && atMs <= toMs);
    return possible.length > 0 && possible.every(({ value }) => value.serving.includes(asked));
  });
}
