import type { RunningDeploy } from "../../../protocol/deploy.ts";
import type { DeployMode, PlannedStep } from "./deploy-mode.ts";
import { routesDuring, routesOffered, routesSwitched, type WantedRoutes } from "./wanted-routes.ts";

/**
 * Two versions side by side, and one switch of the default for all users. `run/steps/atomic-steps.ts` has the effects
 * of each row.
 */
export const atomicMode = {
  start: "withdrawing",
  install: "installing",
  promote: "waiting",
  rollback: "restoring",
  abort: "aborted",
  steps: {
    withdrawing: {
      next: "draining",
      rollback: "restore",
      failedHosts: "retry",
      describe: ({ withdrawn }) =>
        withdrawn.length === 0 ? "no version has to leave the routes" : `${withdrawn.join(", ")} leaves the routes`,
      plan: (deploy) => planRoutes(routesDuring(deploy)),
    },
    draining: {
      next: "installing",
      rollback: "restore",
      failedHosts: "retry",
      describe: (deploy) =>
        isFirst(deploy)
          ? NO_ROUTES
          : `every edge stops routing to ${deploy.withdrawn.join(", ") || "what is replaced"}`,
      plan: (deploy, { edges }) => (isFirst(deploy) ? null : { edges }),
    },
    installing: {
      next: "offering",
      rollback: "restore",
      failedHosts: "retry",
      describe: ({ version, hosts }) => `${version} on ${inWords(Object.keys(hosts).length)}`,
      plan: (_deploy, { waves, hosts }) => ({ waves, hosts }),
    },
    offering: {
      next: "waiting",
      rollback: "restore",
      failedHosts: "reinstall",
      describe: (deploy) =>
        isFirst(deploy) ? `hosts register ${deploy.version}` : `${deploy.version} joins the routes`,
      plan: (deploy) => planRoutes(routesOffered(deploy)),
    },
    waiting: {
      next: "prepared",
      rollback: "restore",
      failedHosts: "reinstall",
      describe: (deploy) => (isFirst(deploy) ? NO_ROUTES : `every edge learns to serve ${deploy.version}`),
      plan: (deploy, { edges }) => (isFirst(deploy) ? null : { edges }),
    },
    prepared: {
      next: "promoting",
      pauses: true,
      rollback: "restore",
      failedHosts: "reinstall",
      describe: ({ version }) => `${version} is ready for the switch`,
      conclude: ({ version }, service, hosts) =>
        `${version} is prepared ${hosts}; \`promote\` makes it the default of ${service}`,
    },
    promoting: {
      next: "done",
      // Edges may have the new version as the default from here on.
      rollback: "switch",
      failedHosts: "keep",
      describe: ({ version }) => `${version} becomes the default`,
      plan: (deploy, { edges }) => ({ ...planRoutes(routesSwitched(deploy)), edges }),
    },
    restoring: {
      next: "rolledBack",
      rollback: "continue",
      failedHosts: "retry",
      describe: ({ hosts }) => {
        const number = Object.keys(hosts).length;
        return `${inWords(number)} ${number === 1 ? "gets" : "get"} back what was replaced`;
      },
    },
    switchingBack: {
      next: "rolledBack",
      rollback: "continue",
      failedHosts: "keep",
      describe: ({ from }) => `${from.default} becomes the default again`,
    },
    done: {
      next: null,
      rollback: "switch",
      failedHosts: "keep",
      describe: () => "",
      conclude: ({ version }, service, hosts) => `${version} is the default of ${service}, ${hosts}`,
    },
    rolledBack: {
      next: null,
      rollback: { refused: "was already rolled back" },
      failedHosts: "keep",
      describe: () => "",
      conclude: ({ from }, service) => `${service} is back at ${from.default ?? "nothing"}`,
    },
    aborted: {
      next: null,
      rollback: { refused: "was aborted; deploy the version that you want back" },
      failedHosts: "keep",
      describe: () => "",
      conclude: ({ version }, service) => `the deploy of ${service} ${version} is abandoned; everything stays as it is`,
    },
  },
} as const satisfies DeployMode;

const NO_ROUTES = "there are no routes yet";

/** Whether the service served nothing before: its routes are written at the switch. */
function isFirst({ from }: RunningDeploy): boolean {
  return from.default === null;
}

function planRoutes(wanted: WantedRoutes | null): PlannedStep | null {
  return wanted && { routes: { default: wanted.default, serving: wanted.serving } };
}

function inWords(hosts: number): string {
  return `${hosts} ${hosts === 1 ? "host" : "hosts"}`;
}
