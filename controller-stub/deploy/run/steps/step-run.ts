import type { RunningDeploy } from "../../../../protocol/deploy.ts";
import type { ExpectedMember } from "../../decisions/missing-members.ts";
import type { WantedRoutes } from "../../decisions/wanted-routes.ts";
import { type DeployContext, deployOf } from "../deploy-context.ts";
import { ensureRoutes } from "../records/routes.ts";
import { forwardRollout } from "../rollout/deploy-rollout.ts";
import type { Rollout } from "../rollout/rollout.ts";
import { edgesBarrier, membersBarrier } from "./barriers.ts";

/**
 * What a step does. It may be done again from its beginning: after a crash another run, with a higher epoch, repeats
 * it.
 */
export type StepEffect = (run: StepRun) => Promise<void>;

/** What the steps of one run of a deploy share. */
export class StepRun {
  private forward: Rollout | undefined;
  private members: Promise<number> | undefined;

  constructor(readonly context: DeployContext) {}

  get deploy(): RunningDeploy {
    return deployOf(this.context);
  }

  /**
   * The rollout of the new version, from the first step that needs it to the end of the run: its hosts stay watched.
   */
  get rollout(): Rollout {
    this.forward ??= forwardRollout(this.context);
    return this.forward;
  }

  stop(): void {
    this.forward?.stop();
  }

  /**
   * Waits until each host that is done is registered. @returns the revision of the members that edges have to know of
   */
  membersOfNewVersion(): Promise<number> {
    const { hosts, release } = this.deploy;
    const done = Object.entries(hosts).filter(([, { step }]) => step === "done");
    const expected = done.map(([host, { slot }]): ExpectedMember => ({ host, slot, release }));
    this.members ??= membersBarrier(this.context, expected, this.rollout.signal);
    return this.members;
  }

  async writeRoutes(wanted: WantedRoutes | null) {
    const { bus, service, lock, by } = this.context;
    return wanted && (await ensureRoutes(bus, service, wanted, { epoch: lock.epoch, by }));
  }

  /** Writes the routes, and waits until every edge has applied them. */
  async agree(
    wanted: WantedRoutes | null,
    { serversets = 0, signal = this.rollout.signal }: { serversets?: number; signal?: AbortSignal } = {},
  ): Promise<void> {
    // Too many hosts may have failed before: then nothing is switched.
    signal.throwIfAborted();
    const put = await this.writeRoutes(wanted);
    if (put === null) return;
    const need = { routes: put.revision, epoch: put.routes.epoch, serversets };
    await edgesBarrier(this.context, need, this.deploy.plan.withoutEdges, signal);
  }
}
