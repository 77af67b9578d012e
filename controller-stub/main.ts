#!/usr/bin/env node
import { userInfo } from "node:os";
import { loadVerbs } from "./commands/index.ts";
import type { Context } from "./context.ts";
import { EndedBySignalError } from "./errors.ts";
import { createProgram, runProgram } from "./program.ts";
import { askYesNo } from "./terminal/ask.ts";
import { CommandOutput } from "./terminal/output.ts";

const { argv, env, stdin, stdout, stderr } = process;
const args = argv.slice(2);

// The first signal ends the verb in order; a second one ends the process.
const interruption = new AbortController();
for (const [signal, number] of [
  ["SIGINT", 2],
  ["SIGTERM", 15],
] as const) {
  process.once(signal, () => interruption.abort(new EndedBySignalError(signal, 128 + number)));
}
// Whoever read the output has seen enough, as with `| head`.
stdout.on("error", () => process.exit(0));

const context: Context = {
  output: new CommandOutput({ stdout, stderr, json: args.includes("--json"), plain: !!env.NO_COLOR }),
  signal: interruption.signal,
  environment: env,
  user: env.USER || userInfo().username,
  ask: stdin.isTTY && stderr.isTTY ? (question) => askYesNo(question, { input: stdin, output: stderr }) : null,
};
const program = createProgram();
for (const add of await loadVerbs(args)) add(program, context);

const exitCode = await runProgram(program, args, context.output);
// What was written is on its way before the process ends.
stderr.write("", () => stdout.write("", () => process.exit(exitCode)));
