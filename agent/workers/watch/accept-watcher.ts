import { readable } from "../../os/libc.ts";

/**
 * Time between two checks: while a worker is not known to accept yet; of adopted workers; of adopted ones that have to
 * end.
 */
const STARTING_MS = 50;
const IDLE_MS = 500;
const ENDING_MS = 10;

/** A worker as it is watched here. */
interface Acceptor {
  readonly pid: number;
  readonly alive: boolean;
  readonly accepting: boolean;
  readonly adopted: boolean;
  readonly stopping: boolean;
  /** Of an adopted worker: readable once it has ended. */
  readonly pidfd: number | null;
  markAccepting(): void;
  /** Notices that an adopted worker has ended. */
  observe(): void;
}

/** Finds out which workers accept: often while one is not known to, else now and then for the ends of adopted ones. */
export class AcceptWatcher {
  /** A worker was seen to wait for requests; so one that is not seen does not wait. */
  private sighted = false;
  private timer: NodeJS.Timeout | undefined;

  /**
   * @param whoAccepts which of some pids are seen to wait for requests
   * @param isHealthy whether the slot's probe is good
   */
  constructor(
    private readonly workers: ReadonlySet<Acceptor>,
    private readonly whoAccepts: (pids: readonly number[]) => Set<number>,
    private readonly isHealthy: () => boolean,
    private readonly onAccepting: () => void,
  ) {}

  /** Checks now, and again when it is time. */
  observeWorkers(): void {
    clearTimeout(this.timer);
    this.observeAdopted();
    const unsure = [...this.workers].filter((worker) => worker.alive && !worker.accepting);
    if (unsure.length > 0) this.observeAccepting(unsure);
    const adopted = [...this.workers].filter((worker) => worker.adopted);
    const waiting = unsure.some((worker) => !worker.accepting);
    const next = adopted.some((worker) => worker.stopping) ? ENDING_MS : waiting ? STARTING_MS : IDLE_MS;
    clearTimeout(this.timer);
    if (waiting || adopted.length > 0) this.timer = setTimeout(() => this.observeWorkers(), next);
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  /** One system call for all of them, however many there are. */
  private observeAdopted(): void {
    const adopted = [...this.workers].filter((worker) => worker.adopted && worker.alive);
    if (adopted.length === 0) return;
    const ended = readable(adopted.flatMap(({ pidfd }) => pidfd ?? []));
    for (const worker of adopted) if (worker.pidfd === null || ended.has(worker.pidfd)) worker.observe();
  }

  private observeAccepting(unsure: readonly Acceptor[]): void {
    const seen = this.whoAccepts(unsure.map((worker) => worker.pid));
    this.sighted ||= seen.size > 0;
    // Where none was ever seen, they wait in a way that can't be seen. Then the slot's probe has to do.
    const trusted = !this.sighted && this.isHealthy();
    const accepting = unsure.filter((worker) => trusted || seen.has(worker.pid));
    for (const worker of accepting) worker.markAccepting();
    if (accepting.length > 0) this.onAccepting();
  }
}
