import { Objm } from "@nats-io/obj";
import type { ObjectSource } from "../releases/source.ts";
import type { Bus } from "./bus.ts";

/** The bus's object store, as a source of releases. */
export function objectSource(bus: Bus): ObjectSource {
  return {
    async read(bucket, name) {
      const store = await new Objm(bus.jetstream).open(bucket);
      const object = await store.get(name);
      return object?.data ?? null;
    },
  };
}
