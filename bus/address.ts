import { redact } from "../protocol/errors.ts";

export const defaultServer = "nats://127.0.0.1:4222";
export const defaultPort = 4222;

/** What an address has to look like, for messages about one that does not. */
export const addressRule = "must be a nats://HOST:PORT or tls://HOST:PORT address";

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

/** An address as it may be shown: without the login that may stand in it, with a scheme or without. */
export function redactAddress(text: string): string {
  return text.includes("://") ? redact(text) : redact(`//${text}`).slice(2);
}
