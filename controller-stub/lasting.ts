import type { BusSession } from "../bus/session.ts";
import { BusUnreachableError } from "../protocol/errors.ts";

/**
 * Lets time pass until `work` is done, or `timeoutMs` are over (for ever, if that is left out).
 * @throws what the bus's signal says when it is aborted; BusUnreachableError where the connection is lost for good.
 */
export async function lastingFor(bus: BusSession, timeoutMs: number | undefined, work?: Promise<void>): Promise<void> {
  const { promise, resolve, reject } = deferred();
  const interrupt = () => reject(bus.signal.reason);
  bus.signal.addEventListener("abort", interrupt, { once: true });
  const timer = timeoutMs === undefined ? undefined : setTimeout(resolve, timeoutMs);
  bus.nc.closed().then((cause) => {
    const why = cause instanceof Error ? cause.message : "the connection was closed";
    reject(new BusUnreachableError(bus.nc.getServer(), why, { cause }));
  });
  work?.then(resolve, reject);
  if (bus.signal.aborted) interrupt();
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    bus.signal.removeEventListener("abort", interrupt);
  }
}

function deferred() {
  let resolve: () => void = () => {};
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
