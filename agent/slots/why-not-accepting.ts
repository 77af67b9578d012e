import { NotAcceptingError } from "../../protocol/errors.ts";
import { listeningAddresses } from "../os/listening-addresses.ts";
import { allPids, commandLine, processStat } from "../os/process.ts";
import type { Pool } from "../workers/pool.ts";

const AS_NODE = `if it is a Node program, set listen = "node" in [app]`;
const AS_SOCKET = "an app must listen on file descriptor 3 when LISTEN_FDS is set, not open the port itself";

/**
 * Says why workers that run accept nothing on their slot's socket, as far as it can be seen from outside, and what to
 * change; and what one of them wrote last.
 * @param ranMs how long they ran
 */
export async function notAccepting(pool: Pool, ranMs: number): Promise<NotAcceptingError> {
  const [first] = pool.workers;
  const words = first ? await pool.wordsOf(first) : "";
  return new NotAcceptingError(pool.spec.port, ranMs, reason(pool), words);
}

/** Says why an app found the slot's port taken, and what to change. @param words what the app wrote */
export function openedPort({ spec: { port, config } }: Pool, ranMs: number, words: string): NotAcceptingError {
  const fix =
    config.app.listen === "node"
      ? "something keeps slotd's NODE_OPTIONS from the process that listens"
      : `${AS_NODE}; otherwise ${AS_SOCKET}`;
  return new NotAcceptingError(port, ranMs, `the app opened the port itself, but the slot has it open; ${fix}`, words);
}

function reason({ workers, spec: { port, config } }: Pool): string {
  const leaders = workers.map(({ pid }) => pid);
  const children = allPids().filter((pid) => !leaders.includes(pid) && leaders.includes(processStat(pid)?.group ?? 0));
  const elsewhere = listeningAddresses([...leaders, ...children]).filter((at) => !at.endsWith(`:${port}`));
  const isNode = config.app.listen === "node";
  if (elsewhere.length > 0) {
    const fix = isNode ? "the app must listen on the port that PORT names" : `${AS_NODE}; otherwise ${AS_SOCKET}`;
    return `they listen on ${elsewhere.join(" and ")} instead; ${fix}`;
  }
  if (isNode) return "no Node process of the app listened on PORT; does it replace NODE_OPTIONS?";
  const wrapper = leaders.find((pid) => children.some((child) => processStat(child)?.group === pid));
  if (wrapper === undefined) return `does the app support socket activation? ${AS_NODE}; otherwise ${AS_SOCKET}`;
  const who = `process ${wrapper} (${commandLine(wrapper)}) starts the app, and LISTEN_PID names that process`;
  return `${who}: run the app itself, or, ${AS_NODE}`;
}
