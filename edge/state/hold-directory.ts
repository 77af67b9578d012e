import { mkdirSync, realpathSync } from "node:fs";
import { createServer } from "node:net";
import { EdgeRunningError } from "../../protocol/edge-errors.ts";
import { ConfigInvalidError } from "../../protocol/errors.ts";

/**
 * Creates the state directory and locks it for this process's life, by an abstract unix socket with its name: the
 * kernel frees that however the process ends.
 * @throws EdgeRunningError if another process holds it, ConfigInvalidError if it can't be created
 */
export async function holdDirectory(path: string): Promise<{ release(): void }> {
  let real: string;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    real = realpathSync(path);
  } catch (cause) {
    throw new ConfigInvalidError("state_directory", `can't be created (${(cause as Error).message})`, { cause });
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

/** The longest name of an abstract socket, including the NUL at its start: unix(7). */
const MAX_NAME = 107;

function abstractName(path: string): string {
  const name = `\0slotd-edge:${path}`;
  // Long paths differ at their ends.
  return Buffer.byteLength(name) <= MAX_NAME ? name : `\0slotd-edge:${path.slice(-80)}`;
}
