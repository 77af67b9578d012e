import { createServer } from "node:net";

/**
 * Below what the kernel gives to outgoing connections, so that none of those takes a port between the look and its use.
 */
const LOWEST = 10_000;
const HIGHEST = 32_000;

const given = new Set<number>();

/** Ports that are free on an address now, all different, and never given twice by this process. */
export async function freePorts(count: number, address = "127.0.0.1"): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (given.has(port) || !(await isFree(port, address))) continue;
    given.add(port);
    found.push(port);
  }
  return found;
}

function isFree(port: number, address: string): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, address, () => server.close(() => resolve(true)));
  });
}
