import type { Socket } from "node:net";
import { getsockopt, SOL_SOCKET } from "./libc.ts";

const SO_PEERCRED = 17;
/** `struct ucred`: pid, uid, gid. */
const UCRED_BYTES = 12;
const UID_AT = 4;

/** The user who connected to a unix socket, from the kernel: SO_PEERCRED, unix(7). Null if the connection is closed. */
export function peerUid(socket: Socket): number | null {
  const fd = (socket as unknown as { _handle: { fd: number } | null })._handle?.fd ?? -1;
  if (fd < 0) return null;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, UCRED_BYTES).readUInt32LE(UID_AT);
}
