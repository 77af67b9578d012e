/**
 * Imported into an agent's process before the agent (`node --import`). Its wall clock is off by as many ms as the file
 * says that this module's `offset` parameter names, and jumps when the file changes; without that file it is right.
 * What measures time by the monotonic clock, timers among it, does not notice: as on a host whose clock is set.
 */
import { readFileSync } from "node:fs";

const file = new URL(import.meta.url).searchParams.get("offset") as string;
const Right = Date;
const right = Date.now;

function now(): number {
  try {
    return right() + Number(readFileSync(file, "utf8"));
  } catch {
    return right();
  }
}

Right.now = now;
globalThis.Date = new Proxy(Right, {
  construct: (target, given, made) => Reflect.construct(target, given.length === 0 ? [now()] : given, made),
  apply: () => new Right(now()).toString(),
});
Right.prototype.constructor = globalThis.Date;
