import type { FleetStage } from "./stage.ts";

/** Commands to try on a fleet that was left running. */
export function whatToTry(stage: FleetStage): string {
  const quote = (words: string[]) => words.map((word) => word.replace(`${process.cwd()}/`, "./")).join(" ");
  const controller = (...words: string[]) => quote(stage.controllerCommand(...words));
  const [url = ""] = stage.urls;
  const [host] = stage.hosts;
  return `
Everything keeps running, users too. In another terminal:
  ${controller("status", "web", "--watch")}
  ${controller("hosts", "web")}
  ${controller("edges", "web")}
  ${controller("revisions", "web")}
  curl -i ${url}/api/quote                               the default version
  curl -i -H "X-App-Version: 4.0.0" ${url}/api/quote     a version that is still served
  ${controller("deploy", "web", "2.0.0", "--dry-run")}
  ${controller("deploy", "web", "2.0.0", "--wave", "2")}
  ${controller("rollback", "web")}
Configurations: ${host?.configFile} and those of the other hosts, ${stage.edges.map(({ configFile }) => configFile).join(", ")}.
Ctrl-C ends everything.`;
}
