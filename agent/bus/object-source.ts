import type { ObjectSource } from "../releases/source.ts";
import type { Bus } from "./bus.ts";

/** The bus's object store, as a source of releases. */
export function objectSource(bus: Bus): ObjectSource {
  return {
    async read(bucket, name, signal) {
      // A bus that is away for a moment must not fail an install; the caller bounds the wait.
      await bus.whenUp(signal);
      const { Objm } = await import("./client.ts");
      const store = await new Objm(bus.jetstream).open(bucket).catch((error: Error) => {
        // The client has no class for it.
        if (error.message === "object store not found") return null;
        throw error;
      });
      return (await store?.get(name))?.data ?? null;
    },
  };
}
