import type { Worker } from "./process/worker.ts";

/** A worker's place in its pool: its number, over all the processes that had it. */
export interface WorkerIndex {
  readonly number: number;
  worker: Worker | null;
  /** The one that takes the seat over as soon as it accepts. */
  replacement: Worker | null;
  /** Ends in a row without having settled. */
  failures: number;
  restarts: number;
  timer: NodeJS.Timeout | undefined;
}

/** The seats of a pool, by number. There are as many as ever were needed. */
export class WorkerIndexes {
  private readonly all: WorkerIndex[] = [];

  at(number: number): WorkerIndex {
    for (let next = this.all.length; next <= number; next++)
      this.all.push({ number: next, worker: null, replacement: null, failures: 0, restarts: 0, timer: undefined });
    return this.all[number] as WorkerIndex;
  }

  first(count: number): WorkerIndex[] {
    if (count > 0) this.at(count - 1);
    return this.all.slice(0, count);
  }

  /** The seats from a number on. */
  from(number: number): WorkerIndex[] {
    return this.all.slice(number);
  }

  /** The living workers that have a seat. */
  get workers(): Worker[] {
    return this.all.flatMap((seat) => (seat.worker?.alive ? [seat.worker] : []));
  }

  get restarts(): number {
    return this.all.reduce((sum, seat) => sum + seat.restarts, 0);
  }

  restartsOf(number: number): number {
    return this.all[number]?.restarts ?? 0;
  }

  /** How many seats have had at least so many ends in a row. */
  failing(ends: number): number {
    return this.all.filter((seat) => seat.failures >= ends).length;
  }

  /** Starts nobody any more. */
  stop(): void {
    for (const seat of this.all) clearTimeout(seat.timer);
  }
}
