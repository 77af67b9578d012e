import type { Revision, RunningDeploy } from "../../../protocol/deploy.ts";

const KEPT_REVISIONS = 32;

/** The revisions after a deploy, newest first. A last step that is repeated adds nothing. */
export function noteRevision(revisions: readonly Revision[], deploy: RunningDeploy, at: string): Revision[] {
  const { version, release, by, message } = deploy;
  const revision = { version, sha256: release.sha256, by, message, at };
  const before = revisions[0]?.version === version ? revisions.slice(1) : revisions;
  return [revision, ...before].slice(0, KEPT_REVISIONS);
}
