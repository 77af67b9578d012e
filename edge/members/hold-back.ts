/** How many endpoints of served versions there are, and went without having withdrawn. */
export interface Loss {
  alive: number;
  /** Vanished within the window, those included that are held back. */
  vanished: number;
}

/** Losses that are not further apart than this count together. */
export const lossWindowMs = 15_000;

/**
 * Whether endpoints that vanished are kept all the same. So many that go together are rather a fault of whoever tells of them than of
 * each of them.
 * @param maxLoss a share, from 0 to 1
 */
export function isTooMuch({ alive, vanished }: Loss, maxLoss: number): boolean {
  return vanished > 0 && vanished / (alive + vanished) > maxLoss;
}
