/** An address as people may see it: no user, no password, and no query, which carries signatures. */
export function shownUrl(url: string): string {
  const shown = new URL(url);
  if (shown.username || shown.password) shown.username = "***";
  shown.password = "";
  if (shown.search) shown.search = "?***";
  shown.hash = "";
  return shown.href;
}
