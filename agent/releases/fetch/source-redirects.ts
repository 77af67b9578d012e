import { SourceFault } from "./source-fault.ts";
import { shownUrl } from "./source-url.ts";

const REDIRECTS = [301, 302, 303, 307, 308];
const MAX_REDIRECTS = 10;

/**
 * Follows redirects to the response. Not left to `fetch`, which would send our headers to other hosts.
 * @param own sent only to the address's own origin, as is the login in the address; never again once a redirect has
 * left that origin
 * @param way sent everywhere
 * @throws SourceFault for redirects that lead nowhere; what fetch says.
 */
export async function followRedirects(
  address: string,
  own: Record<string, string>,
  way: Record<string, string>,
  signal: AbortSignal,
): Promise<Response> {
  const first = new URL(address);
  const seen = new Set<string>();
  let atHome = true;
  for (let url = first; ; ) {
    url.hash = "";
    if (seen.has(url.href)) throw new SourceFault("unfit", `it redirects in a loop, to ${shownUrl(url.href)} again`);
    if (seen.size > MAX_REDIRECTS) throw new SourceFault("unfit", `it redirects more than ${MAX_REDIRECTS} times`);
    seen.add(url.href);
    atHome &&= url.origin === first.origin;
    const headers = { ...(atHome && { ...own, ...loginOf(first) }), ...loginOf(url), ...way };
    const response = await fetch(withoutLogin(url), { headers, signal, redirect: "manual" });
    if (!REDIRECTS.includes(response.status)) return response;
    response.body?.cancel().catch(() => {});
    url = nextOf(response, url);
  }
}

function nextOf(response: Response, url: URL): URL {
  const location = response.headers.get("location");
  if (location === null || !URL.canParse(location, url.href)) {
    throw new SourceFault("unfit", `it redirects (status ${response.status}) without a proper address`);
  }
  const next = new URL(location, url);
  if (next.protocol === "http:" || next.protocol === "https:") return next;
  throw new SourceFault("unfit", `it redirects to a ${next.protocol} address, which is refused`);
}

function loginOf({ username, password }: URL): { authorization?: string } {
  if (!username && !password) return {};
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { authorization: `Basic ${Buffer.from(login).toString("base64")}` };
}

/** `fetch` refuses addresses with credentials, and prints them in its message. */
function withoutLogin(url: URL): URL {
  const bare = new URL(url);
  bare.username = "";
  bare.password = "";
  return bare;
}
