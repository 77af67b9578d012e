import type { Deploy } from "../../../protocol/deploy.ts";
import { countHosts } from "../decisions/count-hosts.ts";
import type { DeployContext } from "./deploy-context.ts";
import type { RunResult } from "./under-lock.ts";

/** How a run of a deploy ends, told by the record as its last change leaves it. */
export function deployResult({ lock, service }: DeployContext, change: (record: Deploy) => Deploy): RunResult {
  const { deploy } = change(lock.deploy);
  if (deploy === null) return { change, outcome: "done", text: `${service}: nothing was to be done` };
  const { step, version, from, hosts } = deploy;
  const { done = 0, failed = 0, excluded = 0 } = countHosts({ hosts });
  const rest = [failed > 0 && `${failed} failed`, excluded > 0 && `${excluded} not waited for`].filter(Boolean);
  const where = `on ${done} ${done === 1 ? "host" : "hosts"}${rest.length > 0 ? ` (${rest.join(", ")})` : ""}`;
  const texts: Partial<Record<typeof step, string>> = {
    prepared: `${version} is prepared ${where}; \`promote\` makes it the default of ${service}`,
    done: `${version} is the default of ${service}, ${where}`,
    rolledBack: `${service} is back at ${from.default ?? "nothing"}`,
    aborted: `the deploy of ${service} ${version} is given up; everything stays as it is`,
  };
  return {
    change,
    outcome: step,
    text: `${texts[step] ?? `${service} ${version} is in step ${step}`}, epoch ${lock.epoch}`,
  };
}
