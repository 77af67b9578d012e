import { Command } from "commander";
import { formatPackage } from "../../../protocol/package.ts";
import { SlotctlUsageError } from "../errors.ts";
import { readKeys } from "../key-option.ts";
import { repeatedOption } from "../option-values.ts";
import type { SlotctlSession } from "../session.ts";

const help = `
Signs the version, the tree's digest and the digests of all archives, as listed in the description. The archives themselves are not
needed; \`slotctl verify\` checks them. Signatures by other keys stay.

Example:
  slotctl sign dist/web-1.4.2.release.json --key release.key`;

const MAX_SIGNATURES = 8;

export function signCommand(session: SlotctlSession): Command {
  return new Command("sign")
    .description("adds a signature to a packed release, or replaces that key's")
    .argument("<file>", "NAME-V.release.json")
    .requiredOption("--key <keyfile>", "private key made by slotctl keygen; repeatable", repeatedOption)
    .addHelpText("after", help)
    .action(async (file: string, { key }: { key: string[] }) => {
      const { readPackage } = await import("../../pack/package-file.ts");
      const { signed } = await import("../../pack/sign.ts");
      const { replaceFile } = await import("../../pack/write-whole.ts");
      const { publicPart } = await import("../../pack/key-file.ts");
      const keys = await readKeys("--key", key);
      const description = signed(await readPackage(file), keys);
      if (description.signatures.length > MAX_SIGNATURES)
        throw new SlotctlUsageError(`${file} would have more than ${MAX_SIGNATURES} signatures`);
      await replaceFile(file, formatPackage(description));
      const by = keys.map((each) => publicPart(each).id);
      if (session.json) session.printJson({ ...description, description: file, by });
      else session.print(`${description.version}  signed by ${by.join(", ")}`);
    });
}
