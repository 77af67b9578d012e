import { type Command, createArgument, InvalidArgumentError, Option } from "commander";
import type { DeployPlan } from "../../protocol/deploy.ts";
import { parseName, parseTimeout, parseVersion, splitList, wholeNumberParser } from "../options.ts";

/** The options of every verb that changes a service. */
export interface RunOptions {
  by?: string;
  barrierTimeout: number;
  withoutEdge?: string[];
  lease: number;
  patience: number;
}

export interface WaveOptions extends RunOptions {
  wave: DeployPlan["wave"];
  maxFailures: number;
  pause: number;
  only?: string[];
  exclude?: string[];
}

export interface DeployOptions extends WaveOptions {
  canary?: string;
  excludeAbsent?: boolean;
  message?: string;
  dryRun?: boolean;
  live?: string;
  release?: string;
}

const LEASE_MS = 15_000;
const BARRIER_MS = 60_000;
const PATIENCE_MS = 60_000;
/** In a shorter lease, one slow renewal would lose the lock. */
const SHORTEST_LEASE_MS = 200;
const PATTERN = /^[a-z0-9*][a-z0-9._*-]{0,252}$/;

/** A share in percent, or a number of hosts. */
function aWave(text: string): DeployPlan["wave"] {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  const value = Number(percent ?? (/^\d+$/.test(text) ? text : Number.NaN));
  if (value > 0 && percent === undefined) return { hosts: value };
  if (value > 0 && value <= 100) return { percent: value };
  throw new InvalidArgumentError("It must be a share such as 10%, or a number of hosts.");
}

function patterns(text: string, before: string[] = []): string[] {
  const given = splitList(text);
  const wrong = given.find((pattern) => !PATTERN.test(pattern));
  if (wrong === undefined && given.length > 0) return [...before, ...given];
  throw new InvalidArgumentError("It must be a host's name; * stands for any characters.");
}

function edges(text: string, before: string[] = []): string[] {
  return [...before, ...splitList(text).map(parseName)];
}

export const serviceArgument = () => createArgument("<service>", "application").argParser(parseName);
export const versionArgument = (what: string) => createArgument("<version>", what).argParser(parseVersion);

export function addRunOptions(command: Command): Command {
  return command
    .option("--by <name>", "who runs the command, for the record")
    .option("--barrier-timeout <ms>", "how long to wait for edges and members", parseTimeout, BARRIER_MS)
    .addOption(
      new Option("--without-edge <name>", "do not wait for this edge; repeatable, or with commas").argParser(edges),
    )
    .option(
      "--lease <ms>",
      "without a renewal for this long, the run counts as dead",
      wholeNumberParser(SHORTEST_LEASE_MS),
      LEASE_MS,
    )
    .option("--patience <ms>", "how long to wait for an unreachable bus", parseTimeout, PATIENCE_MS);
}

export function addWaveOptions(command: Command, wave: DeployPlan["wave"] = { percent: 10 }): Command {
  const shown = "percent" in wave ? `${wave.percent}%` : String(wave.hosts);
  return addRunOptions(command)
    .addOption(
      new Option("--wave <n>", "hosts to change at once: a share such as 10%, or a number")
        .argParser(aWave)
        .default(wave, shown),
    )
    .option("--max-failures <n>", "how many hosts may fail", wholeNumberParser(0), 0)
    .option("--pause <ms>", "pause between waves", wholeNumberParser(0, 2 ** 31 - 1), 0)
    .addOption(new Option("--only <host>", "only these hosts, by name or pattern; repeatable").argParser(patterns))
    .addOption(new Option("--exclude <host>", "all hosts except these; repeatable").argParser(patterns));
}

export function addDeployOptions(command: Command): Command {
  return addWaveOptions(command)
    .option("--canary <stage>", "deploy to the hosts of this stage first, in one wave", parseName)
    .option("--exclude-absent", "give hosts that do not report their orders, but do not wait for them")
    .option("--message <text>", "the reason, for the record", aMessage)
    .option("--release <file>", "what `publish --json` printed, for other targets than the bus")
    .option("--live <version>", "the default, if the bus has lost the routes", parseVersion)
    .option("--dry-run", "print the plan and change nothing");
}

function aMessage(text: string): string {
  if (text.length <= 1024) return text;
  throw new InvalidArgumentError("It must have at most 1024 characters.");
}

export function planOf(options: DeployOptions): DeployPlan {
  const {
    wave,
    maxFailures,
    pause,
    canary,
    only = [],
    exclude = [],
    excludeAbsent = false,
    withoutEdge = [],
  } = options;
  return {
    ...{ wave, maxFailures, pauseMs: pause, canaryStage: canary ?? null, only, exclude, excludeAbsent },
    withoutEdges: withoutEdge,
  };
}
