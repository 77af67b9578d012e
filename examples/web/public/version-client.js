/**
 * Keeps a page on its version. Each call names the version that the page was built for. When a response comes from
 * another version, the page reloads, once for each version and never twice within a minute. Where that did not help, or
 * must not happen (a form is half filled in), it shows a notice instead. See README.md.
 */
const HEADER = "x-app-version";
const KEY = "version-client.reloads";

/** @returns a `fetch` for the page's calls */
export function versionClient({
  version,
  notify,
  mayReload = () => true,
  fetch = globalThis.fetch.bind(globalThis),
  storage = () => sessionStorage,
  location = globalThis.location,
  now = Date.now,
  pauseMs = 60_000,
}) {
  let reloading = false;

  return async (input, init = {}) => {
    const { origin } = new URL(input instanceof Request ? input.url : input, location.href);
    if (origin !== location.origin) return fetch(input, init);
    const headers = new Headers(init.headers ?? (input instanceof Request ? input.headers : undefined));
    headers.set(HEADER, version);
    const response = await fetch(input, { ...init, headers });
    const answered = response.headers.get(HEADER);
    if (answered !== null && answered !== version) onOther(answered);
    return response;
  };

  function onOther(answered) {
    if (reloading) return;
    reloading = mayReload() && remember(answered);
    if (reloading) location.reload();
    else notify(answered);
  }

  /**
   * Whether to reload for that version. The reload is recorded before it happens, since without a record there could be
   * a loop.
   */
  function remember(answered) {
    try {
      const reloads = new Map(JSON.parse(storage().getItem(KEY) ?? "[]"));
      const last = Math.max(0, ...reloads.values());
      if (reloads.has(answered) || Math.abs(now() - last) < pauseMs) return false;
      storage().setItem(KEY, JSON.stringify([...reloads, [answered, now()]]));
      return true;
    } catch {
      return false;
    }
  }
}
