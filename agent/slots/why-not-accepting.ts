import { NotAcceptingError } from "../../protocol/errors.ts";
import { listeningAddresses } from "../os/listening-addresses.ts";
import { allPids, commandLine, processStat } from "../os/process.ts";
import type { Pool } from "../workers/pool.ts";

const AS_NODE = `if it is a Node program, set listen = "node" in [app]`;
const AS_SOCKET = "an app must listen on file descriptor 3 when LISTEN_FDS is set, not open the port itself";

/**
 * Why workers that run accept nothing on their slot's socket, as far as it can be seen from outside, and what to
 * change.
 * @param ranMs how long they ran
 */
export function notAccepting(pool: Pool, ranMs: number): NotAcceptingError {
  const { port, config } = pool.spec;
  const leaders = pool.workers.map(({ pid }) => pid);
  const children = allPids().filter((pid) => !leaders.includes(pid) && leaders.includes(processStat(pid)?.group ?? 0));
  const elsewhere = listeningAddresses([...leaders, ...children]).filter((at) => !at.endsWith(`:${port}`));
  const isNode = config.app.listen === "node";
  if (elsewhere.length > 0) {
    const fix = isNode ? "the app must listen on the port that PORT names" : `${AS_NODE}; otherwise ${AS_SOCKET}`;
    return new NotAcceptingError(port, ranMs, `they listen on ${elsewhere.join(" and ")} instead; ${fix}`);
  }
  if (isNode)
    return new NotAcceptingError(
      port,
      ranMs,
      "no Node process of the app listened on PORT; does it replace NODE_OPTIONS?",
    );
  const wrapper = leaders.find((pid) => children.some((child) => processStat(child)?.group === pid));
  if (wrapper === undefined)
    return new NotAcceptingError(
      port,
      ranMs,
      `does the app support socket activation? ${AS_NODE}; otherwise ${AS_SOCKET}`,
    );
  const who = `process ${wrapper} (${commandLine(wrapper)}) starts the app, and LISTEN_PID names that process`;
  return new NotAcceptingError(port, ranMs, `${who}: run the app itself, or, ${AS_NODE}`);
}

/** Why an app found the slot's port taken, and what to change. */
export function openedPort({ spec: { port, config } }: Pool, ranMs: number): NotAcceptingError {
  const fix =
    config.app.listen === "node"
      ? "something keeps slotd's NODE_OPTIONS from the process that listens"
      : `${AS_NODE}; otherwise ${AS_SOCKET}`;
  return new NotAcceptingError(port, ranMs, `the app opened the port itself, but the slot has it open; ${fix}`);
}
