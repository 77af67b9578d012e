import { Agent } from "node:http";
import { type Member, memberSchema } from "../../../../protocol/member.ts";

/** Something that requests can be sent to, with the connections that are kept to it. */
export interface Backend {
  host: string;
  port: number;
  /** What every answer must say that it is; null where anything will do. */
  version: string | null;
  keepAlive: Agent;
  close: Agent;
}

/** Who may be asked now: the serverset as the load generator knows it. */
export interface Backends {
  pick(): Backend | null;
}

export function backend(host: string, port: number, version: string | null): Backend {
  return { host, port, version, keepAlive: new Agent({ keepAlive: true }), close: new Agent({ keepAlive: false }) };
}

/** The members of a serverset by key, as an edge would hold it: traffic goes to what is ALIVE, evenly. */
export class MemberTable implements Backends {
  private readonly alive = new Map<string, Backend>();
  private turn = 0;

  /** Takes up what a key holds now; null where it was deleted. */
  update(key: string, value: unknown): void {
    const member = value === null ? null : memberSchema.parse(value);
    const known = this.alive.get(key);
    if (member?.status !== "ALIVE") {
      this.alive.delete(key);
      if (known) leave(known, key);
      return;
    }
    if (known && sameAs(known, member)) return;
    if (known) leave(known, key);
    const { host, port } = member.serviceEndpoint;
    this.alive.set(key, backend(host, port, member.metadata.version ?? null));
  }

  get size(): number {
    return this.alive.size;
  }

  pick(): Backend | null {
    const all = [...this.alive.values()];
    return all[this.turn++ % all.length] ?? null;
  }
}

function sameAs(known: Backend, { serviceEndpoint, metadata }: Member): boolean {
  return (
    known.version === metadata.version && known.host === serviceEndpoint.host && known.port === serviceEndpoint.port
  );
}

/**
 * Moves off a backend: requests under way come to their end. Clients differ in what they do with idle connections, and
 * so does this: those to every other slot are closed, the rest are never used again and left to the app.
 */
function leave({ keepAlive }: Backend, key: string): void {
  if (!key.endsWith(".a")) return;
  for (const sockets of Object.values(keepAlive.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
  keepAlive.maxFreeSockets = 0;
}
