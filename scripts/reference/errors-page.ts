import { errorCodes } from "../../protocol/index.ts";

/** Codes that a command line says without their crossing the wire. */
const LOCAL = {
  USAGE: ["A command's arguments break a rule.", "Read the command's `--help`; nothing was done."],
  NO_HOSTS: ["A command that acts on hosts was given none.", "Name hosts with `--host`, or use `--all-hosts`."],
  WAIT_TIMEOUT: ["The orders were given, but not all had their outcome in time.", "Look at `slotd-controller status`."],
  SUPERSEDED: ["A later order for the slot came first.", "Look at who issued it, and decide which is wanted."],
  CANCELLED: ["An operator took the drain back.", "Issue the order again when the version may go."],
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
