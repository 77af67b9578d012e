import { setTimeout as sleep } from "node:timers/promises";
import { StopFailedError } from "../../../protocol/errors.ts";
import { portOwner } from "../../os/port-owner.ts";
import { listenerInode } from "../../os/tcp-connections.ts";

const LOOK_MS = 10;
/** How long the kernel may take to close what the last process of a slot had open. */
const CLOSING_MS = 1_000;

/** Verifies that nobody listens on a slot's port any more. @throws StopFailedError naming who does. */
export async function untilPortFree(slot: string, address: string, port: number): Promise<void> {
  const end = performance.now() + CLOSING_MS;
  while (listenerInode(address, port) !== null) {
    if (performance.now() > end) {
      const owner = portOwner(address, port);
      const who = owner ? `process ${owner.pid} (${owner.command})` : "a process that can't be seen from here";
      throw new StopFailedError(slot, `port ${port} is still held by ${who}`);
    }
    await sleep(LOOK_MS);
  }
}
