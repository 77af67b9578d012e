import type { atomicMode } from "../../decisions/atomic-mode.ts";
import { noteRevision } from "../../decisions/note-revision.ts";
import { routesBefore, routesDuring, routesOffered, routesSwitched } from "../../decisions/wanted-routes.ts";
import { requireRoutes } from "../records/routes.ts";
import { backwardRollout } from "../rollout/deploy-rollout.ts";
import { installTasks } from "../rollout/install-tasks.ts";
import { restoreTasks } from "../rollout/restore-tasks.ts";
import { membersBarrier } from "./barriers.ts";
import { reorderRoles } from "./reorder-roles.ts";
import type { StepEffect, StepRun } from "./step-run.ts";

const nothing: StepEffect = async () => {};

/** The effects of each row of `atomicMode`. */
export const atomicSteps: Readonly<Record<keyof typeof atomicMode.steps, StepEffect>> = {
  withdrawing: async (run) => {
    await run.writeRoutes(routesDuring(run.deploy));
  },
  draining: (run) => run.agree(routesDuring(run.deploy)),
  installing: async (run) => {
    // A run may resume here. Before it replaces a version it makes sure that no edge routes to it.
    await run.agree(routesDuring(run.deploy));
    await run.rollout.run(installTasks(run.context));
  },
  offering: async (run) => {
    await run.membersOfNewVersion();
    const offered = routesOffered(run.deploy);
    await run.writeRoutes(offered && { ...offered, anew: true });
  },
  waiting: async (run) => run.agree(routesOffered(run.deploy), { serversets: await run.membersOfNewVersion() }),
  prepared: nothing,
  promoting: promote,
  restoring: restore,
  switchingBack: switchBack,
  done: nothing,
  rolledBack: nothing,
  aborted: nothing,
};

async function promote(run: StepRun): Promise<void> {
  const { context, deploy } = run;
  await run.agree(routesSwitched(deploy));
  // The orders that follow supersede those that were watched.
  run.rollout.stop();
  await reorderRoles(context, { current: deploy.version, previous: deploy.from.default });
  const at = new Date().toISOString();
  await context.lock.write((record) => ({ ...record, revisions: noteRevision(record.revisions, deploy, at) }));
}

async function restore(run: StepRun): Promise<void> {
  const { context, deploy } = run;
  await run.agree(routesDuring(deploy), { signal: context.bus.signal });
  const rollout = backwardRollout(context);
  const { signal } = rollout;
  try {
    const { waves, expected } = restoreTasks(context);
    await rollout.run(waves);
    const failed = new Set(rollout.failures.map(({ host }) => host));
    const restored = expected.filter(({ host }) => !failed.has(host));
    const serversets = await membersBarrier(context, restored, signal);
    await run.agree(routesBefore(deploy), { serversets, signal });
  } finally {
    rollout.stop();
  }
}

async function switchBack(run: StepRun): Promise<void> {
  const { context, deploy } = run;
  const before = routesBefore(deploy);
  if (before === null) return;
  // The new version stays served, as the previous one.
  const { routes } = await requireRoutes(context.bus, context.service);
  const serving = routes?.serving ?? before.serving;
  await run.agree({ ...before, serving }, { signal: context.bus.signal });
  await reorderRoles(context, { current: before.default, previous: deploy.version });
}
