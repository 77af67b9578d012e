const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A duration in its two largest units: `420ms`, `42s`, `12m05s`, `3h12m`, `4d7h`. */
export function duration(ms: number): string {
  if (ms < SECOND) return `${Math.max(0, Math.round(ms))}ms`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)}s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)}m${two(((ms % HOUR) % MINUTE) / SECOND)}s`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)}h${two((ms % HOUR) / MINUTE)}m`;
  return `${Math.floor(ms / DAY)}d${Math.floor((ms % DAY) / HOUR)}h`;
}

/** How long ago a moment was, in whole seconds. A moment in the future, after a clock change, shows as 0s. */
export function age(since: string, now: number): string {
  return duration(Math.max(0, Math.floor((now - Date.parse(since)) / SECOND)) * SECOND).replace(/^0ms$/, "0s");
}

function two(value: number): string {
  return String(Math.floor(value)).padStart(2, "0");
}
