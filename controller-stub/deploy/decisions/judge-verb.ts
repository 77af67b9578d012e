import type { RunningDeploy } from "../../../protocol/deploy.ts";
import { DeployStateError } from "../deploy-errors.ts";
import { isEnded, ruleOf } from "./steps.ts";

export type DeployVerb = "deploy" | "prepare" | "promote" | "rollback" | "abort" | "resume" | "converge" | "shutdown";

/**
 * Whether a verb fits what is recorded.
 * @returns the error that says why not, or null
 */
export function judgeVerb(verb: DeployVerb, service: string, deploy: RunningDeploy | null): DeployStateError | null {
  const running = deploy !== null && !isEnded(deploy) ? deploy : null;
  switch (verb) {
    case "deploy":
    case "prepare":
    case "converge":
    case "shutdown":
      return running && unfinished(service, running);
    case "promote":
      return judgePromote(service, running);
    case "abort":
    case "resume":
      return running ? null : new DeployStateError("NO_DEPLOY", `there is no deploy of ${service} to ${verb}`);
    case "rollback":
      return judgeRollback(service, deploy);
    default:
      return verb satisfies never;
  }
}

function judgePromote(service: string, running: RunningDeploy | null): DeployStateError | null {
  if (running !== null) return ruleOf(running).pauses ? null : unfinished(service, running);
  return new DeployStateError("NOT_PREPARED", `no version of ${service} is prepared; use \`prepare\` or \`deploy\``);
}

function judgeRollback(service: string, deploy: RunningDeploy | null): DeployStateError | null {
  const refused = (why: string) => new DeployStateError("NOTHING_TO_ROLL_BACK", why);
  if (deploy === null) return refused(`there is no deploy of ${service} to roll back`);
  const { version, from } = deploy;
  const { rollback } = ruleOf(deploy);
  if (typeof rollback !== "string") return refused(`the deploy of ${service} ${version} ${rollback.refused}`);
  if (rollback === "switch" && from.default === null)
    return refused(`${version} is the first version of ${service}: there is none before it`);
  return null;
}

function unfinished(service: string, deploy: RunningDeploy): DeployStateError {
  const { version, step, halted, by } = deploy;
  const why = halted === null ? "" : `, halted: ${halted.message}`;
  return new DeployStateError(
    "DEPLOY_UNFINISHED",
    `the deploy of ${service} ${version} by ${by} is in step ${step}${why}; use ` +
      (ruleOf(deploy).pauses ? "`promote`, `rollback` or `abort`" : "`resume`, `rollback` or `abort`"),
  );
}
