import { type Command, createArgument } from "commander";
import { type Context, withBus } from "../context.ts";
import { aName, aVersion } from "../options.ts";
import { publishRelease } from "../releases.ts";
import { formatBytes } from "../render.ts";

export function addPublish(program: Command, context: Context): void {
  program
    .command("publish")
    .summary("put a release's archive on the bus")
    .description(
      "Puts a release's archive (.tar or .tar.gz) into the bus's object store, where hosts fetch it from.\n" +
        "A version never changes: the same content again is fine, other content is refused.",
    )
    .addArgument(createArgument("<service>", "application that it is a release of").argParser(aName))
    .addArgument(createArgument("<version>", "name of the release, unique for good").argParser(aVersion))
    .argument("<archive>", "file to publish")
    .addHelpText("after", "\nExample:\n  slotd-controller publish web 1.4.2 dist/web-1.4.2.tar.gz")
    .action((service: string, version: string, file: string, _options, command: Command) =>
      publish(context, command, { service, version, file }),
    );
}

async function publish(
  context: Context,
  command: Command,
  what: { service: string; version: string; file: string },
): Promise<void> {
  const { output } = context;
  const { already, ...release } = await withBus(context, command, (bus) =>
    publishRelease(bus, what, (done, total) => {
      output.progress(done === total ? "" : `${formatBytes(done)} of ${formatBytes(total)}`);
    }),
  );
  output.object({ service: what.service, ...release, already });
  output.line(`${what.service} ${release.version} ${already ? "is already published" : "published"}`);
  output.line(`sha256 ${release.sha256}`);
  output.line(`size   ${release.sizeBytes} bytes`);
  output.line(`url    ${release.url}`);
}
