/** An address for people: without user, password and query, which may carry signatures. */
export function shownUrl(url: string): string {
  const shown = new URL(url);
  if (shown.username || shown.password) shown.username = "***";
  shown.password = "";
  if (shown.search) shown.search = "?***";
  shown.hash = "";
  return shown.href;
}
