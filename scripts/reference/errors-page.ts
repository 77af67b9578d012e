import { errorCodes } from "../../protocol/error-codes.ts";

/** Codes that a command line says without their crossing the wire. */
const LOCAL = {
  USAGE: ["A command's arguments break a rule.", "Read the command's `--help`; nothing was done."],
  SLOT_FAILED: [
    "A slot that had the new version failed after it had served.",
    "Read `slotctl logs` on that host, then `resume` or `rollback`.",
  ],
  VERSION_MISMATCH: [
    "A host says that it is done, and has another version or content.",
    "Look at that host's `slotctl releases`.",
  ],
  NO_HOSTS: ["A command that acts on hosts was given none.", "Name hosts with `--host`, or use `--all-hosts`."],
  WAIT_TIMEOUT: ["The orders were given, but not all had their outcome in time.", "Look at `slotd-controller status`."],
  SUPERSEDED: ["A later order for the slot came first.", "Look at who issued it, and decide which is wanted."],
  CANCELLED: ["An operator took the drain back.", "Issue the order again when the version may go."],
  HELD_BY: [
    "Another run of the controller deploys this service.",
    "Wait for it; if it is dead, `resume`, `rollback` or `abort`.",
  ],
  LOCK_LOST: ["Another run took this one's place.", "Nothing: that one goes on. Look at `slotd-controller status`."],
  FENCED: ["A later deploy has ordered already.", "Look at who deploys, and begin anew."],
  ALREADY_CURRENT: ["The version is the default already.", "Nothing; or deploy another one."],
  DEPLOY_UNFINISHED: ["An earlier deploy has not ended.", "`resume` it, `rollback` it, or `abort` it."],
  NOT_PREPARED: ["No version waits for its promotion.", "`prepare` one first, or `deploy`."],
  NO_DEPLOY: ["There is no deploy to go on with.", "Begin one with `deploy`."],
  NOTHING_TO_ROLL_BACK: ["There is no earlier version that still serves.", "Deploy the version that is wanted."],
  HOSTS_FAILED: ["More hosts failed than may.", "Read why in the message; then `resume`, `rollback` or `abort`."],
  EDGES_MISSING: [
    "Not every edge acknowledged in time.",
    "Mend the edges that are named, or go on `--without-edge` or `edges --forget` them.",
  ],
  MEMBERS_MISSING: [
    "A host that is done is not in the serverset.",
    "Look at that host's bus and workers, then `resume`.",
  ],
  PLAN_IMPOSSIBLE: [
    "A host has no slot that the version may go into.",
    "Read which host and why; mend it, or `--exclude` it.",
  ],
  INTERRUPTED: ["The command was ended by a signal.", "Orders that were given stay given."],
} as const;

/** docs/errors.md, from the table in the protocol. */
export function errorsPage(): string {
  const row = ([code, [meaning, next]]: [string, readonly [string, string]]) =>
    `| \`${code}\` | ${meaning} | ${next} |`;
  return `# Errors

Every error that users see has a stable code. It stands in \`HostStatus\` (\`lastError\`, \`refused\`, an order's \`error\`), in events, in
logs, in the answers of the control socket and of the micro service, and in front of what the command lines print. Messages may
change; codes do not. This page is made by \`npm run reference\`.

| code | what it means | what to do next |
| --- | --- | --- |
${Object.entries(errorCodes).map(row).join("\n")}

Only said by the command lines:

| code | what it means | what to do next |
| --- | --- | --- |
${Object.entries(LOCAL).map(row).join("\n")}

## Exit codes

| exit code | of \`slotd\`, \`slotctl\`, \`slotd-controller\` and the scripts |
| --- | --- |
| 0 | done |
| 1 | failed |
| 2 | wrong usage or configuration |
| 3 | the agent, or the bus, can't be reached |
| 130, 143 | \`slotd-controller\` was ended by SIGINT, SIGTERM |
`;
}
