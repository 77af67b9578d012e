/** How long a source may take to close. */
const CLOSING_MS = 20;

/** A source that sent nothing for too long. */
export class StalledError extends Error {
  constructor(timeoutMs: number) {
    super(`nothing came for ${timeoutMs} ms`);
  }
}

/** The promise's outcome, unless the signal aborts (its reason is thrown) or time runs out (StalledError) before. */
export function within<T>(promise: Promise<T>, timeoutMs: number, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => settle(() => reject(signal.reason));
    const timer = setTimeout(() => settle(() => reject(new StalledError(timeoutMs))), timeoutMs);
    const settle = (end: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      end();
    };
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    promise.then(
      (value) => settle(() => resolve(value)),
      (error) => settle(() => reject(error)),
    );
  });
}

/** The chunks of a stream, each within a time of its own. The stream is cancelled however the loop ends. */
export async function* chunksOf(
  stream: ReadableStream<Uint8Array>,
  timeoutMs: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await within(reader.read(), timeoutMs, signal);
      if (done) return;
      yield value;
    }
  } finally {
    // Waits until it is really closed; but a source that hangs may hang here, too.
    await within(reader.cancel(), CLOSING_MS, new AbortController().signal).catch(() => {});
  }
}
