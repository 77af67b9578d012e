export const defaultServer = "nats://127.0.0.1:4222";
export const defaultPort = 4222;

/** What an address has to look like, for messages about one that does not. */
export const addressRule =
  "must be a nats://HOST:PORT or tls://HOST:PORT address; in a login, write / as %2F, @ as %40, % as %25, a blank as %20";

/**
 * `nats://HOST:PORT`, `tls://HOST:PORT` or `HOST:PORT`; a login may stand before the host. Undefined where it is none
 * of these.
 */
export function parseAddress(text: string): URL | undefined {
  const address = text.includes("://") ? text : `nats://${text}`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  return url && ["nats:", "tls:"].includes(url.protocol) && url.hostname !== "" ? url : undefined;
}

/** The host as a certificate names it, and as the operating system takes it: an IPv6 address without brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, "");
}

/** Who a program is by an address: a user with a password, or a token alone. Null where no login stands in it. */
export function loginOf({ username, password }: URL): { name: string; password: string } | null {
  if (username === "" && password === "") return null;
  return { name: decodeURIComponent(username), password: decodeURIComponent(password) };
}

/** An address as it may be shown: without the login that may stand in it, whatever characters that has. */
export function redactAddress(text: string): string {
  return text.replace(/^([a-z]+:\/\/)?.*@/is, (_login, scheme = "") => `${scheme}***@`);
}
