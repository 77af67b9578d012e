import { mkdirSync, realpathSync } from "node:fs";
import { createServer } from "node:net";
import { EdgeRunningError } from "../../protocol/edge-errors.ts";
import { ConfigInvalidError } from "../../protocol/errors.ts";

/**
 * Makes the state directory, and holds it for this process's life: by an abstract unix socket of its name, which the kernel lets go of
 * however the process ends.
 * @throws EdgeRunningError where another process holds it, ConfigInvalidError where it can't be made.
 */
export async function holdDirectory(path: string): Promise<{ release(): void }> {
  let real: string;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    real = realpathSync(path);
  } catch (cause) {
    throw new ConfigInvalidError("state_directory", `can't be made (${(cause as Error).message})`, { cause });
  }
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "EADDRINUSE" ? new EdgeRunningError(path) : error),
    );
    server.listen(abstractName(real), resolve);
  });
  server.unref();
  return { release: () => void server.close() };
}

/** Longest name of an abstract socket, with the NUL that it begins with: unix(7). */
const MAX_NAME = 107;

function abstractName(path: string): string {
  const name = `\0slotd-edge:${path}`;
  // Long paths differ at their ends.
  return Buffer.byteLength(name) <= MAX_NAME ? name : `\0slotd-edge:${path.slice(-80)}`;
}
