import type { Deploy, RunningDeploy } from "../../../../protocol/deploy.ts";
import { isEnded, nextStep } from "../../decisions/steps.ts";
import { type DeployContext, deployOf, inDeploy } from "../deploy-context.ts";
import { Steps } from "./atomic-steps.ts";

/**
 * Goes on with the recorded deploy, step by step, as far as it goes by itself.
 * @returns the last change of the record
 */
export async function runDeploy(work: DeployContext): Promise<(record: Deploy) => Deploy> {
  const { report, lock } = work;
  const steps = new Steps(work);
  try {
    for (;;) {
      const deploy = deployOf(work);
      report.begin(deploy.step, whatHappens(deploy));
      await steps.perform(deploy.step);
      report.end();
      const next = nextStep(deploy);
      if (next === null) return (record) => record;
      const move = inDeploy((now) => ({ ...now, step: next, ...(isEnded({ step: next }) && endedNow()) }));
      report.event(`the deploy of ${deploy.version} came to step ${next}`, {
        version: deploy.version,
        facts: { step: next },
      });
      if (isEnded({ step: next })) return move;
      await lock.write(move);
    }
  } finally {
    steps.stop();
  }
}

export function endedNow() {
  return { endedAt: new Date().toISOString(), halted: null };
}

/** What a step is about, in words. */
function whatHappens({ step, version, withdrawn, hosts, from, rollback }: RunningDeploy): string {
  const leaving = withdrawn.join(", ");
  const number = Object.keys(hosts).length;
  const first = from.default === null;
  switch (step) {
    case "withdrawing":
      return leaving === "" ? "nothing has to leave the routes" : `${leaving} leaves the routes`;
    case "draining":
      return first ? "there are no routes yet" : `every edge stops routing to ${leaving || "what is replaced"}`;
    case "installing":
      return `${version} on ${number} ${number === 1 ? "host" : "hosts"}`;
    case "offering":
      return first ? `${version} is waited for in the serverset` : `${version} joins the routes`;
    case "waiting":
      return first ? "there are no routes yet" : `every edge learns to serve ${version}`;
    case "prepared":
      return `${version} is ready for the switch`;
    case "promoting":
      return `${version} becomes the default`;
    case "restoring":
      return rollback === "switch"
        ? `${from.default} becomes the default again`
        : `${number} ${number === 1 ? "host gets" : "hosts get"} back what was replaced`;
    case "done":
    case "rolledBack":
    case "aborted":
      return "";
    default:
      return step satisfies never;
  }
}
