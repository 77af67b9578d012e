import { loadVerbs } from "../../controller-stub/commands/index.ts";
import type { Context } from "../../controller-stub/context.ts";
import { createProgram, runProgram } from "../../controller-stub/program.ts";
import { CommandOutput } from "../../controller-stub/terminal/output.ts";

export interface Said {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a verb in this process, for tests with too many of them for a process each. */
export async function runHere(url: string, args: readonly string[], over: Partial<Context> = {}): Promise<Said> {
  const said = { stdout: "", stderr: "" };
  const keep = (name: "stdout" | "stderr") => ({
    write: (text: string) => {
      said[name] += text;
    },
  });
  const output = new CommandOutput({
    ...{ stdout: keep("stdout"), stderr: keep("stderr") },
    ...{ json: args.includes("--json"), plain: true },
  });
  const environment = { SLOTD_NATS: url };
  const context = { output, signal: new AbortController().signal, environment, user: "tester", ask: null, ...over };
  const program = createProgram();
  for (const add of await loadVerbs(args)) add(program, context);
  return { code: await runProgram(program, args, output), ...said };
}
