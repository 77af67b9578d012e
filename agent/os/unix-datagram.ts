import koffi from "koffi";
import { unixAddress } from "./address.ts";
import { AF_UNIX, close, NativeError, SOCK_DGRAM, socket } from "./libc.ts";

const lib = koffi.load("libc.so.6");
const iovec = koffi.struct("slotd_iovec", { base: "uint8_t *", length: "size_t" });
koffi.struct("slotd_msghdr", {
  name: "uint8_t *",
  nameLength: "uint32_t",
  vectors: koffi.pointer(iovec),
  vectorCount: "size_t",
  control: "uint8_t *",
  controlLength: "size_t",
  flags: "int",
});
const sendmsg = lib.func("int64_t sendmsg(int fd, slotd_msghdr *message, int flags)");

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const CMSG_HEADER = 16;
const MSG_NOSIGNAL = 0x4000;

/**
 * Sends one datagram to a unix socket, with any descriptors attached: unix(7), cmsg(3).
 * @param path an absolute path, or an abstract address that begins with `@`
 */
export function sendUnixDatagram(path: string, text: string, descriptors: readonly number[] = []): void {
  const address = unixAddress(path);
  const body = Buffer.from(text);
  const control = rights(descriptors);
  const fd = socket(AF_UNIX, SOCK_DGRAM);
  try {
    const message = {
      name: address,
      nameLength: address.length,
      vectors: [{ base: body, length: body.length }],
      vectorCount: 1,
      control: control.length > 0 ? control : null,
      controlLength: control.length,
      flags: 0,
    };
    if (Number(sendmsg(fd, message, MSG_NOSIGNAL)) === -1) throw new NativeError("sendmsg", koffi.errno());
  } finally {
    close(fd);
  }
}

/** The control message for descriptors; empty if there are none. */
function rights(descriptors: readonly number[]): Buffer {
  if (descriptors.length === 0) return Buffer.alloc(0);
  const used = CMSG_HEADER + 4 * descriptors.length;
  const control = Buffer.alloc((used + 7) & ~7);
  control.writeBigUInt64LE(BigInt(used), 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  for (const [i, fd] of descriptors.entries()) control.writeInt32LE(fd, CMSG_HEADER + 4 * i);
  return control;
}
