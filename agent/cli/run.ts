import { Command, CommanderError, Option } from "commander";
import { programVersion } from "../../daemon/version.ts";
import { wrapHelp } from "../../daemon/wrap-help.ts";
import { didYouMean } from "../../protocol/did-you-mean.ts";
import { type ExitCode, exitCodes } from "../../protocol/exit-codes.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { drainCommand } from "./commands/drain.ts";
import { eventsCommand } from "./commands/events.ts";
import { keygenCommand } from "./commands/keygen.ts";
import { logsCommand } from "./commands/logs.ts";
import { packCommand } from "./commands/pack.ts";
import { releasesCommand } from "./commands/releases.ts";
import { restartCommand } from "./commands/restart.ts";
import { signCommand } from "./commands/sign.ts";
import { slotsCommand } from "./commands/slots.ts";
import { statusCommand } from "./commands/status.ts";
import { undrainCommand } from "./commands/undrain.ts";
import { verifyCommand } from "./commands/verify.ts";
import { workersCommand } from "./commands/workers.ts";
import type { CliContext } from "./context.ts";
import { exitCodeOf, SlotctlInterruptedError, SlotctlUsageError, shown } from "./errors.ts";
import { SlotctlSession } from "./session.ts";

const verbs = [
  statusCommand,
  slotsCommand,
  workersCommand,
  logsCommand,
  eventsCommand,
  drainCommand,
  undrainCommand,
  restartCommand,
  doctorCommand,
  releasesCommand,
  packCommand,
  keygenCommand,
  signCommand,
  verifyCommand,
];

/** Accepted before and after a verb. */
const globalOptions = [
  ["--socket <path>", "the agent's control socket (also: SLOTD_SOCKET)"],
  ["--service <name>", "the agent of this service: its socket is /run/slotd/NAME.sock"],
  ["--json", "print JSON as the last line of stdout; streams print one JSON document per line"],
] as const;

const globalFlags = globalOptions.map(([flags]) => flags.split(" ")[0] as string);

/** Runs one command line. Never throws: errors go to stderr and into the exit code. */
export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const session = new SlotctlSession(context);
  const root = program(session);
  try {
    await root.parseAsync(args, { from: "user" });
    return session.exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.done;
    const last = toUsageError(error, args, root) ?? (context.signal.aborted ? toInterruptedError(error) : error);
    // A usage error occurs before the options are parsed.
    session.printError(last, session.json || args.includes("--json"));
    return exitCodeOf(shown(last).code);
  }
}

function program(session: SlotctlSession): Command {
  const root = new Command("slotctl")
    .description("Shows and controls the slotd agent of this host. Works while the bus is down.")
    .version(programVersion)
    // `slotctl --version` and `slotctl pack --version V` are different options.
    .enablePositionalOptions()
    .addHelpText("after", outro)
    .configureHelp({ showGlobalOptions: true })
    .hook("preAction", (_root, verb) => {
      session.options = verb.optsWithGlobals();
    });
  for (const verb of verbs) root.addCommand(verb(session));
  for (const [flags, description] of globalOptions) {
    root.option(flags, description);
    // A verb's help shows them only as global options.
    for (const verb of root.commands) verb.addOption(new Option(flags, description).hideHelp());
  }
  for (const command of [root, ...root.commands])
    command
      .exitOverride()
      .configureHelp({ showGlobalOptions: true })
      .configureOutput({
        writeOut: (text) => session.context.write(wrapHelp(text, session.helpColumns)),
        writeErr: (text) => session.context.writeError(wrapHelp(text, session.helpColumns)),
        outputError: () => {}, // run() prints all errors in one form
        getOutHasColors: () => false,
        getErrHasColors: () => false,
        getOutHelpWidth: () => session.helpColumns,
        getErrHelpWidth: () => session.helpColumns,
      });
  return root;
}

const outro = `
Without --socket, --service or SLOTD_SOCKET, the only socket in /run/slotd is used.

Exit codes:
  0  done; also if Ctrl-C ended a stream or --watch
  1  failed, or interrupted before its end
  2  wrong usage, unknown slot or invalid configuration
  3  the agent can't be reached

Examples:
  slotctl status
  slotctl logs a -f
  slotctl drain b --reason "kernel upgrade"
  slotctl doctor --config /etc/slotd/web.toml`;

function toUsageError(error: unknown, args: readonly string[], root: Command): SlotctlUsageError | undefined {
  if (!(error instanceof CommanderError)) return undefined;
  if (error.code === "commander.help")
    return new SlotctlUsageError("a command is missing, for example: slotctl status; see slotctl --help");
  const message = error.message
    .replace(/^error: /, "")
    .replace(/\s*\n\s*/g, " ")
    .replace(". Expected", ": expected")
    .replace(/\.$/, "");
  const verb = root.commands.find((command) => args.includes(command.name()));
  return new SlotctlUsageError(`${message}${meant(message)}; see slotctl ${verb ? `${verb.name()} ` : ""}--help`);
}

/** Commander itself suggests only options that it shows: it hides the global ones of verbs. */
function meant(message: string): string {
  const [, option] = /^unknown option '([^']+)'$/.exec(message) ?? [];
  return option === undefined ? "" : didYouMean(option, globalFlags);
}

function toInterruptedError(error: unknown): SlotctlInterruptedError {
  return error instanceof SlotctlInterruptedError ? error : new SlotctlInterruptedError("interrupted");
}
