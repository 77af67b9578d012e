/** How many endpoints of a version are alive, and how many vanished: they went without withdrawing first. */
export interface Loss {
  alive: number;
  /** Within the window; includes those that are held back. */
  vanished: number;
}

/** Endpoints that vanish within this time count together. */
export const lossWindowMs = 15_000;

/**
 * Whether to keep endpoints that vanished. If so many vanish together, a fault of the registry is more likely than one
 * of each endpoint. The last ones of a version are kept whatever the share: without them nobody would answer.
 * @param maxLoss a share, from 0 to 1
 */
export function isTooMuch({ alive, vanished }: Loss, maxLoss: number): boolean {
  return vanished > 0 && (alive === 0 || vanished / (alive + vanished) > maxLoss);
}
