/** Every code that crosses the wire: its meaning and what to do next. docs/errors.md is generated from this table. */
export const errorCodes = {
  ORDER_MALFORMED: [
    "An order is not JSON, or a field breaks a rule.",
    "Fix the named field and issue the order again.",
  ],
  ORDER_CONFLICT: ["The order's id was already used for a different order.", "Issue the order under a new id."],
  STALE_EPOCH: [
    "The order's epoch is lower than the highest that the slot has seen.",
    "Read the current epoch and deploy again.",
  ],
  EPOCH_TOO_HIGH: [
    "The order's epoch is implausibly far above the highest that the slot has seen.",
    "Take epochs from the service's record in slotd-deploys, and issue the order again.",
  ],
  HOST_NAME_TAKEN: [
    "Another agent of this service writes the same keys: two hosts have one name, or names that differ only in . and _.",
    "Give each host a name of its own: `host` in slotd.toml.",
  ],
  SLOT_UNKNOWN: ["No slot of this host has that name.", "Use one of the slots in the host's configuration."],
  SLOT_STATE: [
    "The slot's state does not allow this.",
    "Check `slotctl status`, and wait until the current step ends.",
  ],
  VERSION_NOT_INSTALLED: [
    "The slot does not hold the version to uninstall.",
    "Name the version that `slotctl status` shows.",
  ],
  VERSION_IN_USE: [
    "The version is the default, or an edge still routes to it.",
    "Stop routing to it first, or force with a reason.",
  ],
  RELEASE_NOT_FOUND: ["The archive is not at its address.", "Publish the release, and check the order's url."],
  RELEASE_NOT_INSTALLED: [
    "The host does not have that release, or has no manifest for it.",
    "Use a version that `slotctl releases` lists.",
  ],
  RELEASE_UNREACHABLE: [
    "The archive's source did not answer, or the transfer broke off.",
    "Check the source, then issue a new order.",
  ],
  RELEASE_TOO_LARGE: [
    "The archive or its unpacked contents exceed a limit.",
    "Raise the limit in [releases], or ship less.",
  ],
  DIGEST_MISMATCH: [
    "The content's SHA-256 differs from the one ordered.",
    "Publish under a new version; a version never changes.",
  ],
  SIZE_MISMATCH: [
    "The archive's size differs from the one ordered.",
    "Take size and digest from `slotd-controller publish`.",
  ],
  RELEASE_CONFIG: [
    "The release's own slotd.toml breaks a rule, or sets what the host does not allow.",
    "Fix the release's slotd.toml, or allow the key in [releases] may_set.",
  ],
  RELEASE_UNTRUSTED: [
    "The release is not signed by a key that this host trusts.",
    "Sign it with a trusted key, or list the key in [releases] trusted_keys.",
  ],
  PACK_REFUSED: [
    "A directory can't be packed as a release.",
    "Fix the path that the message names, or exclude it in .slotdignore.",
  ],
  PACKAGE_INVALID: [
    "The description of a packed release can't be read, or does not match the files next to it.",
    "Pack the release again, or copy its files here again.",
  ],
  PUBLISH_FAILED: [
    "The publishing target did not accept the release.",
    "Fix what the message names and publish again; files already uploaded are kept.",
  ],
  ARCHIVE_UNSAFE: [
    "An entry of the archive points outside the release, or is not a plain file, directory or link.",
    "Rebuild the archive without that entry.",
  ],
  ARCHIVE_CORRUPT: ["The archive is damaged or incomplete.", "Rebuild and publish it."],
  DISK_FULL: ["A write ran out of space, or a release would not fit.", "Free space or inodes in the state directory."],
  PORT_TAKEN: [
    "Another process listens on the slot's port, or on that of the edge's builtin router.",
    "End that process, or set another port.",
  ],
  COMMAND_NOT_FOUND: ["The app's command can't be run.", "Check [app] command and working_directory."],
  ACCOUNT_UNKNOWN: [
    "The workers' user or one of their groups does not exist on this host.",
    "Create it, or fix [app] user, group and supplementary_groups.",
  ],
  SECRET_UNREADABLE: ["One of the app's secrets can't be read.", "Fix the named entry of [app] secrets, or its file."],
  CRASH_LOOP: [
    "The workers of a serving slot kept ending, so the slot was taken out of service.",
    "Read `slotctl logs`; then order another version, or `slotctl restart` the slot.",
  ],
  WORKERS_EXITED: [
    "The workers ended before they were ready.",
    "Read `slotctl logs`; the message quotes the last lines.",
  ],
  NOT_READY: [
    "The workers ran but did not become ready in time.",
    "Check [health] path, [readiness], [liveness], and `slotctl logs`.",
  ],
  NOT_ACCEPTING: [
    "The workers ran but none accepted a connection.",
    'Make the app listen on file descriptor 3 (LISTEN_FDS), or set [app] listen = "node" for a Node app.',
  ],
  STOP_FAILED: [
    "A process of the slot could not be ended, or its port is not free.",
    "End the process that the message names; the agent retries.",
  ],
  DRAIN_CANCELLED: ["An operator cancelled the drain.", "Issue the order again when the version may be removed."],
  JOURNAL_CORRUPT: [
    "The journal could not be read and was moved aside.",
    "Nothing: orders are read from the bus. Keep the file for a bug report.",
  ],
  JOURNAL_NEWER: [
    "The journal was written by a newer slotd.",
    "Install that version again. The workers keep running meanwhile.",
  ],
  JOURNAL_UNWRITABLE: [
    "The journal could not be written.",
    "Fix the state directory; no order is carried out until then.",
  ],
  CONFIG_INVALID: ["The configuration breaks a rule.", "Fix the named key; `slotd --check-config` checks the file."],
  AGENT_RUNNING: ["Another agent uses the state directory.", "Stop that agent, or use another state directory."],
  AGENT_UNREACHABLE: ["No agent answers on the control socket.", "Start slotd, or name its socket with --socket."],
  AGENT_BUSY: [
    "The agent has as many requests of this kind as it accepts at once.",
    "Try again later; find out who sends so many.",
  ],
  EDGE_RUNNING: ["Another slotd-edge uses the state directory.", "Stop that one, or use another state directory."],
  EDGE_STATE: [
    "The edge could not read its last good table from disk, or could not write it.",
    "Fix the state directory. The edge keeps working, but could not restart with that table while the bus is away.",
  ],
  ROUTES_MALFORMED: [
    "The service's routes break a rule; the last good ones stay in force.",
    "Write the routes with the controller, not by hand.",
  ],
  ROUTES_STALE: [
    "The epoch of the routes is lower than one that the edge has applied; the last good ones stay in force.",
    "Find out who wrote them. If the bus was set up from scratch, see docs/edge.md.",
  ],
  ROUTES_UNSUPPORTED: [
    "The routes ask for a mode or field that this edge does not implement; the last good ones stay in force.",
    "Upgrade the edge, or write routes that it supports.",
  ],
  ROUTES_GONE: [
    "The bus has lost the service's routes; the edge serves by the last known ones.",
    "Publish the current default again and deploy it: see `The bus has lost its store` in docs/operations.md.",
  ],
  NO_ROUTES: [
    "The bus has no routes for the service, and the edge knows none. Every request is answered with 503.",
    "Deploy a version.",
  ],
  ROUTES_UNSERVED: [
    "The edge has no endpoint of the version that the routes make the default; the last good routes stay in force.",
    "Fix the members that the message names, often `advertise` on the hosts; then resume the deploy.",
  ],
  MEMBER_MALFORMED: [
    "A member of the serverset breaks a rule, or does not match its key. It is ignored.",
    "Check the named key and who writes it.",
  ],
  MEMBER_REFUSED: [
    "A member claims more than the edge grants to a host: an address, a capacity or too many slots. It is ignored.",
    "Check who writes it. If the claim is right, allow it by `networks` or `max_capacity` of the edge.",
  ],
  MEMBER_DIGEST: [
    "A member claims to serve a version, but its release differs from the one in the routes. It gets no requests.",
    "Install the version again on that host.",
  ],
  ENDPOINTS_HELD_BACK: [
    "More endpoints vanished at once than `max_loss` allows; the edge keeps routing to them.",
    "Find out why. If they are really gone, accept the loss: send SIGUSR1 to slotd-edge.",
  ],
  PROXY_REJECTED: [
    "The edge's proxy rejected its table; the previous one stays in force.",
    "Read the message and the proxy's own log. The edge retries, at the latest with the next change.",
  ],
  PROXY_DOWN: ["The edge's proxy does not answer.", "Start the proxy; it gets its table at once."],
  BUS_UNREACHABLE: ["NATS did not answer.", "Check the address, the credentials, and that JetStream is on."],
  INTERNAL: ["An unexpected failure.", "Read the agent's log, and report it as a bug."],
} as const satisfies Record<string, readonly [meaning: string, next: string]>;

export type ErrorCode = keyof typeof errorCodes;
