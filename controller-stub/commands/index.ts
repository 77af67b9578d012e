import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addAbort } from "./abort.ts";
import { addConverge } from "./converge.ts";
import { addDeploy, addPrepare } from "./deploy.ts";
import { addEdges } from "./edges.ts";
import { addHosts } from "./hosts.ts";
import { addInstall } from "./install.ts";
import { addPromote } from "./promote.ts";
import { addPublish } from "./publish.ts";
import { addResume } from "./resume.ts";
import { addRevisions } from "./revisions.ts";
import { addRollback } from "./rollback.ts";
import { addSetup } from "./setup.ts";
import { addForceShutdown, addShutdown } from "./shutdown.ts";
import { addStatus } from "./status.ts";
import { addUninstall } from "./uninstall.ts";
import { addWatch } from "./watch.ts";

/** All verbs, in the order of the help. */
export const verbs: readonly ((program: Command, context: Context) => void)[] = [
  ...[addPublish, addDeploy, addPrepare, addPromote, addRollback, addResume, addAbort],
  ...[addStatus, addHosts, addEdges, addRevisions, addWatch],
  ...[addConverge, addShutdown, addForceShutdown, addInstall, addUninstall, addSetup],
];
