import { afterEach } from "node:test";
import { Edge, type EdgeOptions } from "../support/edge.ts";
import { Backend, FleetMembers } from "../support/fleet/members.ts";
import { type NatsServer, startNats } from "../support/nats/server.ts";

/** What a test of an edge needs; all of it is ended after the test. */
export interface EdgeFleet {
  nats(): Promise<NatsServer>;
  members(...args: Parameters<typeof FleetMembers.open>): Promise<FleetMembers>;
  backend(...args: Parameters<typeof Backend.start>): Promise<Backend>;
  edge(options: EdgeOptions): Promise<Edge>;
  /** Something else to undo, the newest first. */
  onEnd(undo: () => unknown): void;
}

/** To be called in a `describe`: registers its hook. */
export function useEdgeFleet(): EdgeFleet {
  const undoing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const undo of undoing.splice(0).reverse()) await undo();
  });
  const kept = async <T>(made: Promise<T>, undo: (made: T) => unknown) => {
    const thing = await made;
    undoing.push(() => undo(thing));
    return thing;
  };
  return {
    nats: () => kept(startNats(), (nats) => nats.stop()),
    members: (...args) => kept(FleetMembers.open(...args), (members) => members.close()),
    backend: (...args) => kept(Backend.start(...args), (backend) => backend.stop()),
    edge: (options) => kept(Edge.start(options), (edge) => edge.close()),
    onEnd: (undo) => undoing.push(undo),
  };
}

/** What an edge answers: the status, the version that the header names, and the body. */
export async function ask(url: string, version?: string, init: RequestInit = {}) {
  const headers = { ...(version !== undefined && { "x-app-version": version }), ...init.headers };
  const response = await fetch(url, { ...init, headers });
  const text = await response.text();
  return { status: response.status, version: response.headers.get("x-app-version"), headers: response.headers, text };
}
