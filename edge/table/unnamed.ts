import type { Table, UnnamedShare } from "./table.ts";

/** All requests together, in the unit of `UnnamedShare.share`: hundredths of a percent. */
export const WHOLE_SHARE = 10_000;

/** Atomic mode: one version gets every request that names none. */
export function allTo(version: string): UnnamedShare[] {
  return [{ version, share: WHOLE_SHARE, stage: null }];
}

/**
 * The version that gets every request that names none; null before there are routes.
 * Only for a table of atomic mode, which has one row at most; `assertRenderable` refuses others.
 */
export function soleVersion({ unnamed }: Pick<Table, "unnamed">): string | null {
  return unnamed[0]?.version ?? null;
}
