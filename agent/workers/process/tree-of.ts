import { environment, type ProcessIdentity } from "../../os/process.ts";
import { ProcessTable } from "../../os/process-table.ts";
import { processesWithToken, TOKEN_VARIABLE } from "./token.ts";

/** The pids of a process and of everything it started, as far as environments, process groups and parents show. */
export function treeOf({ pid }: ProcessIdentity): number[] {
  const token = environment(pid)?.get(TOKEN_VARIABLE);
  const heirs = token === undefined ? [] : processesWithToken(token);
  const own = heirs.filter(({ env }) => env.get("LISTEN_PID") === String(pid));
  return ProcessTable.read().treeOf([pid, ...own.map(({ identity }) => identity.pid)]);
}
