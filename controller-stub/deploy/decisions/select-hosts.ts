/** Whether a name matches a pattern, where `*` stands for any characters. */
export function matchesPattern(pattern: string, name: string): boolean {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(name);
}

export interface Selection {
  hosts: string[];
  /** Patterns that match no host, most likely typing errors. */
  unmatched: string[];
}

/** The hosts that `only` matches (all, if it is empty) and `exclude` does not. */
export function selectHosts(
  hosts: readonly string[],
  { only, exclude }: { only: readonly string[]; exclude: readonly string[] },
): Selection {
  const isAny = (patterns: readonly string[], host: string) =>
    patterns.some((pattern) => matchesPattern(pattern, host));
  return {
    hosts: hosts.filter((host) => (only.length === 0 || isAny(only, host)) && !isAny(exclude, host)),
    unmatched: [...only, ...exclude].filter((pattern) => !hosts.some((host) => matchesPattern(pattern, host))),
  };
}
