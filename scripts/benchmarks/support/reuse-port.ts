import { socketAddress } from "../../../agent/os/address.ts";
import * as libc from "../../../agent/os/libc.ts";

const SO_REUSEPORT = 15;
const BACKLOG = 4096;

/**
 * One of several listening sockets on the same IPv4 address and port, over which the kernel spreads connections:
 * socket(7).
 */
export function openReusePort(address: string, port: number): { fd: number; close(): void } {
  const fd = libc.socket(libc.AF_INET, libc.SOCK_STREAM);
  const on = Buffer.alloc(4);
  on.writeInt32LE(1);
  try {
    libc.setsockopt(fd, libc.SOL_SOCKET, libc.SO_REUSEADDR, on);
    libc.setsockopt(fd, libc.SOL_SOCKET, SO_REUSEPORT, on);
    libc.bind(fd, socketAddress(address, port));
    libc.listen(fd, BACKLOG);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  return { fd, close: () => libc.close(fd) };
}
