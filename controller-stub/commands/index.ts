import type { Command } from "commander";
import type { Context } from "../context.ts";

/** Adds a verb to the program. */
export type AddVerb = (program: Command, context: Context) => void;

/** Loads each verb; in the order of the help. */
const verbs: Readonly<Record<string, () => Promise<AddVerb>>> = {
  publish: async () => (await import("./publish.ts")).addPublish,
  deploy: async () => (await import("./deploy.ts")).addDeploy,
  prepare: async () => (await import("./deploy.ts")).addPrepare,
  promote: async () => (await import("./promote.ts")).addPromote,
  rollback: async () => (await import("./rollback.ts")).addRollback,
  resume: async () => (await import("./resume.ts")).addResume,
  abort: async () => (await import("./abort.ts")).addAbort,
  status: async () => (await import("./status.ts")).addStatus,
  hosts: async () => (await import("./hosts.ts")).addHosts,
  edges: async () => (await import("./edges.ts")).addEdges,
  revisions: async () => (await import("./revisions.ts")).addRevisions,
  watch: async () => (await import("./watch.ts")).addWatch,
  converge: async () => (await import("./converge.ts")).addConverge,
  shutdown: async () => (await import("./shutdown.ts")).addShutdown,
  "force-shutdown": async () => (await import("./shutdown.ts")).addForceShutdown,
  install: async () => (await import("./install.ts")).addInstall,
  uninstall: async () => (await import("./uninstall.ts")).addUninstall,
  repair: async () => (await import("./repair.ts")).addRepair,
  setup: async () => (await import("./setup.ts")).addSetup,
};

/**
 * Loads only the verbs that the arguments may mean, so that a switch of the default does not wait for code that it does
 * not use. Loads all of them for help, or where no verb is known.
 */
export function loadVerbs(args: readonly string[]): Promise<AddVerb[]> {
  const isHelp = args.some((arg) => ["help", "--help", "-h"].includes(arg));
  const named = Object.keys(verbs).filter((name) => !isHelp && args.includes(name));
  const wanted = named.length > 0 ? named : Object.keys(verbs);
  return Promise.all(wanted.map((name) => verbs[name]?.() as Promise<AddVerb>));
}
