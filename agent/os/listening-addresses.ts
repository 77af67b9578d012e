import { readFileSync } from "node:fs";
import { descriptors } from "./process.ts";

const LISTEN = "0A";

/** The TCP addresses that some processes listen on, as `address:port`: proc_net(5), /proc/net/tcp and tcp6. */
export function listeningAddresses(pids: readonly number[]): string[] {
  const open = new Set(pids.flatMap((pid) => [...descriptors(pid).values()]));
  const rows = ["tcp", "tcp6"].flatMap((file) => readFileSync(`/proc/net/${file}`, "latin1").split("\n").slice(1));
  const found = rows.flatMap((row) => {
    const [, local = "", , state, , , , , , inode] = row.trim().split(/\s+/);
    return state === LISTEN && open.has(`socket:[${inode}]`) ? [readable(local)] : [];
  });
  return [...new Set(found)];
}

/** From the kernel's hex: 32-bit words in the machine's byte order, then the port. */
function readable(local: string): string {
  const [address = "", port = ""] = local.split(":");
  const words = address.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => [...Buffer.from(word, "hex").reverse()]);
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  );
  const name =
    bytes.length === 4 ? bytes.join(".") : `[${new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1)}]`;
  return `${name}:${Number.parseInt(port, 16)}`;
}
