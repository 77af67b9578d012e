import type { Worker } from "./worker.ts";

/** A worker's place in its pool: its number, over all the processes that had it. */
export interface Seat {
  readonly number: number;
  worker: Worker | null;
  /** The one that takes the seat over as soon as it accepts. */
  relief: Worker | null;
  /** Ends in a row without having settled. */
  failures: number;
  restarts: number;
  timer: NodeJS.Timeout | undefined;
}

/** The seats of a pool, by number. There are as many as ever were needed. */
export class Seats {
  private readonly all: Seat[] = [];

  at(number: number): Seat {
    for (let next = this.all.length; next <= number; next++)
      this.all.push({ number: next, worker: null, relief: null, failures: 0, restarts: 0, timer: undefined });
    return this.all[number] as Seat;
  }

  first(count: number): Seat[] {
    if (count > 0) this.at(count - 1);
    return this.all.slice(0, count);
  }

  /** The seats from a number on. */
  from(number: number): Seat[] {
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
