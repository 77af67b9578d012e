import { redact } from "../protocol/errors.ts";

/** Why a connection, or a request on it, failed: one line, without secrets. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return firstLine(String(error));
  const { cause, message } = error;
  // The client says "connection refused" of a login that the server refused, too.
  if (cause instanceof Error && (message === "" || (message === "connection refused" && !("code" in cause))))
    return reasonOf(cause);
  if (message === "server does not support 'tls'")
    return "the server offers no TLS, which a tls:// address or the TLS settings require; nothing was sent in clear text";
  const [first] = error instanceof AggregateError ? error.errors : [];
  if (message === "" && first) return reasonOf(first);
  return message === "" ? "the connection was closed" : firstLine(message);
}

function firstLine(text: string): string {
  return redact(text).split("\n")[0] as string;
}
