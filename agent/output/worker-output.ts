/** One of a slot's workers, by what it serves: its output is kept under this name. */
export interface Writer {
  slot: string;
  version: string;
  worker: number;
}

export interface OutputFilter {
  slot: string | null;
  worker: number | null;
  /** Per worker, of what was written before. */
  lines: number;
}

/** A line that a worker wrote. */
export interface OutputLine {
  slot: string;
  worker: number;
  line: string;
}

/**
 * Where a process's own output begins in a place that it shares with those before it. Text, to be journalled: a
 * process outlives the agent that started it. Only the kind of output that gave it understands it.
 */
export type OutputStart = string;

/** Where the workers' output goes. It never passes through the agent, whose end must not touch it. */
export interface WorkerOutput {
  /** A descriptor for a new process's standard output and error; the caller closes it. */
  open(writer: Writer): { fd: number; start: OutputStart };
  /** Where a person finds what a worker wrote: a file, or `journal:` and the identifier. */
  place(writer: Writer): string;
  /**
   * The last lines of one process of a worker, oldest first; none where they can't be read, or can't be told from those
   * of the processes before it.
   */
  lastLines(writer: Writer, start: OutputStart, count: number): Promise<string[]>;
  /** What was written, and where `follow` is given, what is being written, until the signal. */
  read(filter: OutputFilter, follow: AbortSignal | null): AsyncGenerator<OutputLine>;
  /** Keeps what is there within its bounds; called every second. */
  trim(): Promise<void>;
}
