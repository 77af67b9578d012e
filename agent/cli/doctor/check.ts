/**
 * The result of one check. `warn`: works now but may fail later, or could not be checked; `fail`: keeps slotd from
 * working.
 */
export interface Check {
  name: string;
  ok: "ok" | "warn" | "fail";
  found: string;
  /** How to fix it. */
  fix?: string;
}

export function ok(name: string, found: string): Check {
  return { name, ok: "ok", found };
}

export function warn(name: string, found: string, fix: string): Check {
  return { name, ok: "warn", found, fix };
}

export function fail(name: string, found: string, fix: string): Check {
  return { name, ok: "fail", found, fix };
}

/** The error's code if it has one, otherwise its message. */
export function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}
