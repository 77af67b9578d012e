import { readable } from "../../os/libc.ts";
import type { Worker } from "../process/worker.ts";
import { whoAccepts } from "./who-accepts.ts";

/** How often workers are looked at: ones that are not known to accept yet; adopted ones; adopted ones that were told to end. */
const LOOK_MS = 50;
const IDLE_LOOK_MS = 500;
const ENDING_LOOK_MS = 10;

/** Looks at workers: often while one is not known to accept, else now and then for the ends of adopted ones. */
export class AcceptWatcher {
  /** A worker was seen to wait on the socket, so that those who are not seen to do not. */
  private sighted = false;
  private timer: NodeJS.Timeout | undefined;

  /**
   * @param inode of the listening socket
   * @param isHealthy whether the slot's probe is good
   */
  constructor(
    private readonly workers: ReadonlySet<Worker>,
    private readonly inode: number,
    private readonly isHealthy: () => boolean,
    private readonly onAccepting: () => void,
  ) {}

  /** Looks now, and again when it is time. */
  look(): void {
    clearTimeout(this.timer);
    this.observeAdopted();
    const unsure = [...this.workers].filter((worker) => worker.alive && !worker.accepting);
    if (unsure.length > 0) this.lookWhoAccepts(unsure);
    const adopted = [...this.workers].filter((worker) => worker.adopted);
    const waiting = unsure.some((worker) => !worker.accepting);
    const next = adopted.some((worker) => worker.stopping) ? ENDING_LOOK_MS : waiting ? LOOK_MS : IDLE_LOOK_MS;
    clearTimeout(this.timer);
    if (waiting || adopted.length > 0) this.timer = setTimeout(() => this.look(), next);
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  /** One call into the kernel for all of them, however many there are. */
  private observeAdopted(): void {
    const adopted = [...this.workers].filter((worker) => worker.adopted && worker.alive);
    if (adopted.length === 0) return;
    const ended = readable(adopted.flatMap(({ pidfd }) => pidfd ?? []));
    for (const worker of adopted) if (worker.pidfd === null || ended.has(worker.pidfd)) worker.observe();
  }

  private lookWhoAccepts(unsure: readonly Worker[]): void {
    const seen = whoAccepts(
      unsure.map((worker) => worker.pid),
      this.inode,
    );
    this.sighted ||= seen.size > 0;
    // Where none ever was seen, they wait in a way that can't be; then the slot's probe has to do.
    const trusted = !this.sighted && this.isHealthy();
    const accepting = unsure.filter((worker) => trusted || seen.has(worker.pid));
    for (const worker of accepting) worker.accepting = true;
    if (accepting.length > 0) this.onAccepting();
  }
}
