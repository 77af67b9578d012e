/** How many of many things a message names. */
export const SHOWN = 8;

/** Names, as many as fit on a line. */
export function listSome(names: readonly string[]): string {
  const more = names.length - SHOWN;
  return `${names.slice(0, SHOWN).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
