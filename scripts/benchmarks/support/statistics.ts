/**
 * The smallest value that at least that share of the values (0 to 1) does not exceed: the nearest rank. NaN of none.
 */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] as number;
}

export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** How unevenly something is spread: the largest share against the mean. 1 is even. */
export function unevenness(counts: readonly number[]): number {
  return Math.max(...counts) / mean(counts);
}

/** Rounded to so many decimals, so that a report can be read. */
export function round(value: number, decimals = 2): number {
  return Number(value.toFixed(decimals));
}
