import { hostToken } from "./names.ts";

/** The JetStream KV buckets, and who writes each of them. */
export const buckets = {
  /** service.host.slot → Order, by the controller. */
  orders: "slotd-orders",
  /** service.host → HostStatus, by the agent. */
  hosts: "slotd-hosts",
  /** service.stage.host.slot → ServerSet member, by the agent. */
  serversets: "serversets",
  /** service → Routes, by the controller. */
  routes: "slotd-routes",
  /** service.edge → EdgeStatus, by the edge. */
  edges: "slotd-edges",
  /** service → Deploy, by the controller. */
  deploys: "slotd-deploys",
} as const;

/** The object store with release archives. */
export const releaseStore = "slotd-releases";

/** The stream of events, and how long it keeps them. */
export const eventStream = {
  name: "slotd-events",
  subjects: "slotd.events.>",
  maxAgeMs: 7 * 24 * 3600 * 1000,
} as const;

/** The name under which each agent answers as a NATS micro service. */
export const microService = "slotd";

export const keys = {
  order: (service: string, host: string, slot: string) => `${service}.${hostToken(host)}.${slot}`,
  host: (service: string, host: string) => `${service}.${hostToken(host)}`,
  member: (service: string, stage: string, host: string, slot: string) =>
    `${service}.${stage}.${hostToken(host)}.${slot}`,
  routes: (service: string) => service,
  edge: (service: string, edge: string) => `${service}.${edge}`,
  deploy: (service: string) => service,
  /** Where `publish` puts a release's archive in the object store. */
  archive: (service: string, version: string) => `${service}/${version}.tar.gz`,
};

export const subjects = {
  /** The messages behind puts into a bucket, for whoever reads the keys that they name. */
  puts: (bucket: string, filter: string) => `$KV.${bucket}.${filter}`,
  event: (service: string, host: string, slot: string) => `slotd.events.${service}.${hostToken(host)}.${slot}`,
  /** An endpoint of the micro service on one host. */
  request: (service: string, host: string, verb: string) => `slotd.rpc.${service}.${hostToken(host)}.${verb}`,
};
