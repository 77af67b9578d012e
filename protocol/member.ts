import { z } from "zod";

export const memberStatuses = ["STARTING", "ALIVE", "STOPPING", "STOPPED", "DEAD", "WARNING", "UNKNOWN"] as const;

/** How long a member is valid after a reader last saw it written. Readers run this clock themselves. */
export const memberLeaseMs = 15_000;

const endpoint = z.object({ host: z.string().min(1), port: z.int().min(1).max(65535) });

/**
 * A ServerSet member in the JSON form of Twitter's commons and Finagle, with string metadata.
 * Source: finagle-serversets, `ServerSets.scala` / `JsonCodec`: every metadata value is a string, `additionalEndpoints`
 * is always there.
 */
export const memberSchema = z.object({
  serviceEndpoint: endpoint,
  additionalEndpoints: z.record(z.string(), endpoint),
  status: z.enum(memberStatuses),
  shard: z.int().nonnegative().optional(),
  metadata: z.record(z.string(), z.string()),
});
export type Member = z.infer<typeof memberSchema>;

/** A slot's registration. `capacity` is the number of its live, ready workers. */
export interface Registration {
  service: string;
  stage: string;
  host: string;
  slot: string;
  version: string;
  sha256: string;
  epoch: number;
  address: { host: string; port: number };
  capacity: number;
  workers: number;
  status: "ALIVE" | "STOPPING";
}

/** The member for a registration. */
export function toMember(r: Registration): Member {
  const { service, stage, host, slot, version, sha256 } = r;
  return {
    serviceEndpoint: { host: r.address.host, port: r.address.port },
    additionalEndpoints: {},
    status: r.status,
    shard: 0,
    metadata: {
      service,
      stage,
      host,
      slot,
      version,
      sha256,
      capacity: String(r.capacity),
      workers: String(r.workers),
      epoch: String(r.epoch),
    },
  };
}
