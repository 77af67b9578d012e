import { isIPv6 } from "node:net";
import { AF_INET, AF_INET6, AF_UNIX } from "./libc.ts";

/** The 4 or 16 bytes of an address, in network order. */
export function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split(".").map(Number));
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  const text = dotted
    ? `${dotted[1]}${addressBytes(dotted[2] as string)
        .toString("hex")
        .replace(/^(.{4})/, "$1:")}`
    : address;
  const [head = "", tail] = text.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const [front, back] = [groups(head), tail === undefined ? [] : groups(tail)];
  const words = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  const bytes = Buffer.alloc(16);
  words.forEach((word, i) => {
    bytes.writeUInt16BE(word, i * 2);
  });
  return bytes;
}

/** A `sockaddr_in` or `sockaddr_in6`: ip(7), ipv6(7). */
export function socketAddress(address: string, port: number): Buffer {
  const v6 = isIPv6(address);
  const raw = Buffer.alloc(v6 ? 28 : 16);
  raw.writeUInt16LE(v6 ? AF_INET6 : AF_INET, 0);
  raw.writeUInt16BE(port, 2);
  addressBytes(address).copy(raw, v6 ? 8 : 4);
  return raw;
}

/** A `sockaddr_un`: unix(7). @param path an absolute path, or an abstract address that begins with `@` */
export function unixAddress(path: string): Buffer {
  const abstract = path.startsWith("@");
  // A path ends with a NUL; an abstract address does not.
  const raw = Buffer.alloc(2 + Buffer.byteLength(path) + (abstract ? 0 : 1));
  raw.writeUInt16LE(AF_UNIX, 0);
  raw.write(path, 2, "utf8");
  if (abstract) raw.writeUInt8(0, 2);
  return raw;
}

/** The port in a raw socket address. */
export function portOf(raw: Buffer): number {
  return raw.readUInt16BE(2);
}

export function isWildcard(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}
