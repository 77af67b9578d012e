/**
 * What one check found. `warn` works today but may not tomorrow, or could not be looked into; `fail` keeps slotd from
 * its work.
 */
export interface Check {
  name: string;
  ok: "ok" | "warn" | "fail";
  found: string;
  /** What to do about it. */
  mend?: string;
}

export function ok(name: string, found: string): Check {
  return { name, ok: "ok", found };
}

export function warn(name: string, found: string, mend: string): Check {
  return { name, ok: "warn", found, mend };
}

export function fail(name: string, found: string, mend: string): Check {
  return { name, ok: "fail", found, mend };
}

/** What the system says of a failed call: its code, else the message. */
export function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}
