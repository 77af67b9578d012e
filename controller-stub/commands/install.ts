import { type Command, createArgument } from "commander";
import type { Release } from "../../protocol/release.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { issue } from "../issue.ts";
import { addOrderOptions, aName, aVersion, type OrderOptions, wholeNumber } from "../options.ts";
import { findRelease } from "../releases.ts";

interface InstallOptions extends OrderOptions {
  workers?: number;
  url?: string;
  sha256?: string;
  size?: number;
}

const EXAMPLES = `
Examples:
  slotd-controller install web 1.4.2 --slot a --all-hosts --wait
  slotd-controller install web 1.4.2 --slot b --host h1 --host h2 --workers 16
  slotd-controller install web 1.4.2 --slot a --host h1 \\
    --url https://files.example.com/web-1.4.2.tar.gz --sha256 9f86d0… --size 4821034`;

/** Stands for the release until the bus has said what it is. */
const UNKNOWN = { url: "nats-object://unknown/unknown", sha256: "0".repeat(64), sizeBytes: 1 };

export function addInstall(program: Command, context: Context): void {
  const command = program
    .command("install")
    .summary("order a version into a slot")
    .description(
      "Orders a published release into a slot of each host. What the slot holds is drained and removed first.",
    )
    .addArgument(createArgument("<service>", "application").argParser(aName))
    .addArgument(createArgument("<version>", "release to install").argParser(aVersion));
  addOrderOptions(command)
    .option("--workers <n>", "workers for the slot, in place of the host's share", wholeNumber(1))
    .option("--url <url>", "where the archive is, if it was not published; with --sha256 and --size")
    .option("--sha256 <hex>", "the archive's digest")
    .option("--size <bytes>", "the archive's size", wholeNumber(1))
    .addHelpText("after", EXAMPLES)
    .action((service: string, version: string, options: InstallOptions, self: Command) => {
      const given = givenRelease(version, options);
      const workers = options.workers === undefined ? {} : { workers: options.workers };
      return issue(context, self, {
        service,
        options,
        draft: { action: "install", release: given ?? { version, ...UNKNOWN }, ...workers },
        complete: async (bus) => {
          const release = given ?? (await findRelease(bus, service, version));
          return { action: "install", release, ...workers };
        },
      });
    });
}

function givenRelease(version: string, { url, sha256, size }: InstallOptions): Release | undefined {
  if (url === undefined && sha256 === undefined && size === undefined) return undefined;
  if (url === undefined) throw new UsageError("--url", "is required with --sha256 or --size");
  if (sha256 === undefined) throw new UsageError("--sha256", "is required with --url");
  if (size === undefined) throw new UsageError("--size", "is required with --url");
  return { version, url, sha256, sizeBytes: size };
}
