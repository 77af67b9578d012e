/**
 * The states of a slot.
 *
 * - `empty`: no worker runs. Entered at the start and after a removal; left by an install or by bringing back what the
 * journal holds.
 * - `fetching`: the archive of a release is on its way, into a slot where nothing serves.
 * - `unpacking`: the archive is being unpacked beside the releases, into a slot where nothing serves.
 * - `starting`: the socket is open and the workers run; left when enough of them are ready, or when that failed.
 * - `serving`: enough workers were ready. The next release is fetched and unpacked in this state, beside the one that
 * serves.
 * - `draining`: withdrawn from the serverset; waits until nobody is using the version. Can be cancelled.
 * - `stopping`: the workers were told to end. Left when the whole tree is gone and the port is free.
 * - `removing`: the release's files are being deleted.
 * - `failed`: a step failed and nothing of the slot runs. Left by a new order or a restart.
 */
export const slotStates = [
  "empty",
  "fetching",
  "unpacking",
  "starting",
  "serving",
  "draining",
  "stopping",
  "removing",
  "failed",
] as const;
export type SlotState = (typeof slotStates)[number];

/**
 * What became of an order. `pending`: accepted and under way. `done`: the slot holds what it says. `failed`: tried,
 * with an error.
 * `refused`: not acted on. `cancelled`: an operator took the drain back. `superseded`: a later order came first.
 */
export const orderOutcomes = ["pending", "done", "failed", "refused", "cancelled", "superseded"] as const;
export type OrderOutcome = (typeof orderOutcomes)[number];

/**
 * What ended a phase of a drain. `unaccepted`: the only requests left were in the queue of a slot whose workers do not
 * accept connections.
 */
export const drainClauses = ["acked", "paused", "idle", "unaccepted", "timeout", "forced", "cancelled"] as const;
export type DrainClause = (typeof drainClauses)[number];
