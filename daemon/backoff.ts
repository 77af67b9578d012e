/**
 * How long to wait before the next try: doubles from `minMs` to `maxMs`, with jitter over the upper half, so that many
 * that failed together do not come back together.
 * @param attempt 0 for the first retry
 * @param random in [0, 1)
 */
export function backoffMs(attempt: number, minMs: number, maxMs: number, random: () => number = Math.random): number {
  const full = Math.min(maxMs, minMs * 2 ** Math.min(attempt, 30));
  return Math.round(full / 2 + (random() * full) / 2);
}
