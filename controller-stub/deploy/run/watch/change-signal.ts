/** Tells listeners that something changed. */
export class ChangeSignal<T = void> {
  private readonly listeners = new Set<(what: T) => void>();

  /** @returns a function that ends it */
  onChange(listener: (what: T) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  emit(what: T): void {
    for (const listener of this.listeners) listener(what);
  }
}

export interface Patience {
  /** Milliseconds on the monotonic clock. */
  timeoutMs: number;
  signal: AbortSignal;
}

/**
 * Calls `check` now, and again after each change, until it finds something.
 * @returns undefined when the time is over
 * @throws the signal's reason, or what `check` throws
 */
export function untilChange<T, C>(
  changes: ChangeSignal<C>,
  check: () => T | undefined,
  { timeoutMs, signal }: Patience,
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      clearTimeout(timer);
      stop();
      signal.removeEventListener("abort", interrupt);
      settle();
    };
    const interrupt = () => end(() => reject(signal.reason));
    const again = () => {
      try {
        const found = check();
        if (found !== undefined) end(() => resolve(found));
      } catch (error) {
        end(() => reject(error));
      }
    };
    const timer = setTimeout(() => end(() => resolve(undefined)), timeoutMs);
    const stop = changes.onChange(again);
    signal.addEventListener("abort", interrupt, { once: true });
    if (signal.aborted) interrupt();
    else again();
  });
}
