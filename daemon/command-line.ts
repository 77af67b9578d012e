import { type Command, CommanderError } from "commander";

/** What every daemon's command line says. */
export interface DaemonOptions {
  config: string;
  checkConfig?: boolean;
  json?: boolean;
  pretty?: boolean;
}

/**
 * Parses a daemon's command line. Its options are commander's, except that --config is checked here: what is mistyped
 * is said before what is missing.
 * @param end ends the process, where the command line is wrong, or asked for no more than help or the version
 */
export function parseDaemonOptions<O extends DaemonOptions>(
  command: Command,
  argv: readonly string[],
  end: (exitCode: 0 | 2, ...messages: string[]) => never,
): O {
  const wrong = (what: string) => end(2, `error USAGE: ${what}; see ${command.name()} --help`);
  command.exitOverride().configureOutput({ outputError: () => {} });
  try {
    command.parse(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? end(0) : wrong(inOneLine(error.message));
  }
  const options = command.opts<Partial<O>>();
  const { config, checkConfig, json } = options;
  if (config === undefined) return wrong("--config <file> is missing");
  if (json && !checkConfig) return wrong("--json goes with --check-config; the log is JSON unless --pretty is given");
  return { ...options, config } as O;
}

/** Commander's message without its own prefix, line breaks and full stop. */
function inOneLine(message: string): string {
  return message
    .replace(/^error: /, "")
    .replace(/\s*\n\s*/g, " ")
    .replace(". Expected", ": expected")
    .replace(/\.$/, "");
}
