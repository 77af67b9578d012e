import type { RunningDeploy } from "../../../protocol/deploy.ts";
import { DeployStateError, unfinished } from "../deploy-errors.ts";
import { isEnded } from "./steps.ts";

export type DeployVerb = "deploy" | "prepare" | "promote" | "rollback" | "abort" | "resume" | "converge" | "shutdown";

/**
 * Whether a verb fits what is recorded.
 * @returns the error that says why not, or null
 */
export function judgeVerb(verb: DeployVerb, service: string, deploy: RunningDeploy | null): DeployStateError | null {
  const none = (what: string) => new DeployStateError("NO_DEPLOY", `there is no deploy of ${service} to ${what}`);
  switch (verb) {
    case "deploy":
    case "prepare":
    case "converge":
    case "shutdown":
      return deploy !== null && !isEnded(deploy) ? unfinished(service, deploy) : null;
    case "promote":
      if (deploy?.step === "prepared") return null;
      if (deploy !== null && !isEnded(deploy)) return unfinished(service, deploy);
      return new DeployStateError(
        "NOT_PREPARED",
        `no version of ${service} is prepared; use \`prepare\` or \`deploy\``,
      );
    case "abort":
      return deploy === null || isEnded(deploy) ? none("abort") : null;
    case "resume":
      return deploy === null || isEnded(deploy) ? none("resume") : null;
    case "rollback":
      return judgeRollback(service, deploy);
    default:
      return verb satisfies never;
  }
}

function judgeRollback(service: string, deploy: RunningDeploy | null): DeployStateError | null {
  const refused = (why: string) => new DeployStateError("NOTHING_TO_ROLL_BACK", why);
  if (deploy === null) return refused(`there is no deploy of ${service} to roll back`);
  const { version, step, from } = deploy;
  if (step === "rolledBack") return refused(`the deploy of ${service} ${version} was rolled back already`);
  if (step === "aborted")
    return refused(`the deploy of ${service} ${version} was aborted; deploy the version that you want back`);
  if ((step === "done" || step === "promoting") && from.default === null)
    return refused(`${version} is the first version of ${service}: there is none before it`);
  return null;
}
