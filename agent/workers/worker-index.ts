import type { Worker } from "./process/worker.ts";

/**
 * A worker's place in its pool: its number, over all the processes that had it. Its state changes by its own methods
 * only.
 */
export class WorkerIndex {
  private current: Worker | null = null;
  private next: Worker | null = null;
  private failedInARow = 0;
  private restarted = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(readonly number: number) {}

  get worker(): Worker | null {
    return this.current;
  }

  /** The worker that takes the index over as soon as it is ready. */
  get replacement(): Worker | null {
    return this.next;
  }

  /** Ends in a row without having settled. */
  get failures(): number {
    return this.failedInARow;
  }

  get restarts(): number {
    return this.restarted;
  }

  occupy(worker: Worker): void {
    this.current = worker;
  }

  addReplacement(worker: Worker): void {
    this.next = worker;
  }

  /** The replacement is ready: it has the index from now on. */
  promote(replacement: Worker): void {
    this.current = replacement;
    this.restarted++;
  }

  /** The replacing is over, however it ended. */
  removeReplacement(replacement: Worker): void {
    if (this.next === replacement) this.next = null;
  }

  /**
   * Its worker has ended; a living replacement takes over at once.
   * @param failed it ended by itself before it had settled
   */
  vacate(failed: boolean): void {
    this.failedInARow = failed ? this.failedInARow + 1 : 0;
    this.current = this.next?.alive ? this.next : null;
  }

  /** Its next worker could not even be started. */
  countFailure(): void {
    this.failedInARow++;
  }

  /** Starts its next worker after a while, unless it has one by then. */
  restartAfter(waitMs: number, start: () => void): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (this.current) return;
      this.restarted++;
      start();
    }, waitMs);
  }

  cancelRestart(): void {
    clearTimeout(this.timer);
  }
}

/** The indexes of a pool, by number. There are as many as were ever wanted. */
export class WorkerIndexes {
  private readonly all: WorkerIndex[] = [];

  /** @param count of workers that are wanted */
  constructor(private count: number) {}

  get wantedCount(): number {
    return this.count;
  }

  /** Sets how many workers are wanted. @returns the indexes that are not wanted any more */
  resize(count: number): WorkerIndex[] {
    this.count = count;
    const surplus = this.all.slice(count);
    for (const index of surplus) index.cancelRestart();
    return surplus;
  }

  at(number: number): WorkerIndex {
    for (let next = this.all.length; next <= number; next++) this.all.push(new WorkerIndex(next));
    return this.all[number] as WorkerIndex;
  }

  /** The indexes of the workers that are wanted. */
  get wanted(): WorkerIndex[] {
    if (this.count > 0) this.at(this.count - 1);
    return this.all.slice(0, this.count);
  }

  isWanted({ number }: WorkerIndex): boolean {
    return number < this.count;
  }

  /** The living workers that have an index. */
  get workers(): Worker[] {
    return this.all.flatMap(({ worker }) => (worker?.alive ? [worker] : []));
  }

  get restarts(): number {
    return this.all.reduce((sum, index) => sum + index.restarts, 0);
  }

  restartsOf(number: number): number {
    return this.all[number]?.restarts ?? 0;
  }

  /** How many indexes have had at least so many ends in a row. */
  failing(ends: number): number {
    return this.all.filter((index) => index.failures >= ends).length;
  }

  /** Nothing is restarted any more. */
  stop(): void {
    for (const index of this.all) index.cancelRestart();
  }
}
