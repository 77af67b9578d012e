import { loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { type CommandLine, type OptionRules, type OptionsOf, readCommandLine } from "./options.ts";
import { Report } from "./report.ts";
import { round } from "./statistics.ts";

type CleanUp = () => unknown;

/** One run of a benchmark: its options, its report, and what has to be undone at its end, however it ends. */
export class Run {
  readonly report: Report;
  private readonly cleanUps: CleanUp[] = [];
  private readonly ending = new AbortController();
  private cleaned: Promise<void> | undefined;
  /** The undoing that is under way: the end waits for all of it. */
  private undoing: Promise<void> = Promise.resolve();

  constructor(
    name: string,
    readonly quick: boolean,
    readonly json: boolean,
  ) {
    this.report = new Report(name);
  }

  /** Aborted when the run is being ended from outside. */
  get signal(): AbortSignal {
    return this.ending.signal;
  }

  say(text: string): void {
    console.log(text);
  }

  /** The full number of rounds, samples or milliseconds, or the smaller one of a quick run. */
  either(full: number, quick: number): number {
    return this.quick ? quick : full;
  }

  sleep(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.signal });
  }

  /** Takes over something that has to be undone. What comes when all is being undone already is undone at once. */
  own(cleanUp: CleanUp): void {
    if (this.cleaned) this.cleaned = this.undo([cleanUp]);
    else this.cleanUps.push(cleanUp);
  }

  /** Undoes what was set up since, before the end of the run: one part of a benchmark must not disturb the next. */
  async scope<T>(part: () => Promise<T>): Promise<T> {
    const before = this.cleanUps.length;
    try {
      return await part();
    } finally {
      await this.undo(this.cleanUps.splice(before));
    }
  }

  end(): Promise<void> {
    this.ending.abort(new Error("the benchmark was ended"));
    this.cleaned ??= this.undo(this.cleanUps.splice(0));
    return this.cleaned;
  }

  private undo(cleanUps: CleanUp[]): Promise<void> {
    const undone = this.undoOneByOne(cleanUps);
    this.undoing = Promise.all([this.undoing, undone]).then(() => {});
    return this.undoing;
  }

  private async undoOneByOne(cleanUps: CleanUp[]): Promise<void> {
    for (const cleanUp of cleanUps.reverse()) {
      try {
        await cleanUp();
      } catch (error) {
        console.error(`clean-up: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
}

/**
 * Runs a benchmark as the program: options, progress and tables, the line for programs, and clean-up also on Ctrl-C.
 * @param own the benchmark's own options, beside `--json` and `--quick`
 */
export async function bench<R extends OptionRules = Record<never, never>>(
  name: string,
  body: (run: Run, options: OptionsOf<R>) => Promise<void>,
  own: R = {} as R,
): Promise<void> {
  const { json, quick, options } = optionsOrExit(own);
  const run = new Run(name, quick, json);
  for (const [signal, number] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
    ["SIGHUP", 1],
  ] as const)
    process.on(signal, () => void run.end().then(() => process.exit(128 + number)));
  // Nobody reads on: end as at a signal.
  process.stdout.on("error", () => void run.end().then(() => process.exit(1)));
  const unforeseen = (error: unknown) => {
    console.error(error);
    void run.end().then(() => process.exit(1));
  };
  process.on("uncaughtException", unforeseen);
  process.on("unhandledRejection", unforeseen);
  let failed = false;
  const began = performance.now();
  try {
    run.report.figure("load_before", loadavg()[0] ?? 0);
    await body(run, options);
    run.report.figure("load_after", loadavg()[0] ?? 0);
    run.report.figure("seconds", round((performance.now() - began) / 1000, 0));
  } catch (error) {
    failed = true;
    if (!run.signal.aborted) console.error(error);
  }
  // Where a signal came, its handler ends the process, after the same clean-up.
  const aborted = run.signal.aborted;
  await run.end();
  if (aborted) return;
  if (failed) process.exit(1);
  run.say(run.report.toText());
  if (run.json) console.log(run.report.toJson());
  process.exit(0);
}

function optionsOrExit<R extends OptionRules>(own: R): CommandLine<R> {
  try {
    return readCommandLine(process.argv.slice(2), own);
  } catch (error) {
    console.error(`error: ${(error as Error).message}`);
    process.exit(2);
  }
}
