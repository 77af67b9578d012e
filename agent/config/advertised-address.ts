import { readFileSync } from "node:fs";
import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";

type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** Addresses at which a socket listens on every address. */
export const wildcards: readonly string[] = ["0.0.0.0", "::"];

/**
 * The address at which others reach a host that listens on every address: that of the interface with the default
 * route, else the only one there is. A host without a network reaches itself at loopback.
 * @param family of the wildcard that the host listens on; `::` takes both
 * @returns the candidates, none of which is better than another, if there is no such address
 */
export function advertisedAddress(
  family: "IPv4" | "IPv6",
  interfaces: Interfaces = networkInterfaces(),
  routes = readRoutes(),
): string | { candidates: string[] } {
  const usable = Object.entries(interfaces).flatMap(([name, infos = []]) =>
    infos.filter((info) => !info.internal && !isLinkLocal(info.address)).map((info) => ({ ...info, name })),
  );
  const first = defaultInterface(routes);
  for (const wanted of family === "IPv6" ? ["IPv4", "IPv6"] : ["IPv4"]) {
    const found = usable.filter((info) => info.family === wanted);
    const routed = found.find(({ name }) => name === first) ?? (found.length === 1 ? found[0] : undefined);
    if (routed) return routed.address;
    if (found.length > 0) return { candidates: found.map(({ address }) => address) };
  }
  return "127.0.0.1";
}

function isLinkLocal(address: string): boolean {
  return address.startsWith("169.254.") || /^fe[89ab]/i.test(address);
}

/** The interface of the default route with the lowest metric, from the kernel's table of routes. */
function defaultInterface(routes: string): string | undefined {
  const rows = routes.split("\n").map((line) => line.split(/\s+/));
  const defaults = rows.filter((row) => row[1] === "00000000" && row[7] === "00000000");
  return defaults.sort((x, y) => Number(x[6]) - Number(y[6]))[0]?.[0];
}

/** Empty where the kernel has no IPv4. */
function readRoutes(): string {
  try {
    return readFileSync("/proc/net/route", "utf8");
  } catch {
    return "";
  }
}
