import { Command } from "commander";
import { SlotctlUsageError } from "../errors.ts";
import type { SlotctlSession } from "../session.ts";

const help = `
Writes the private key to FILE (PKCS #8 in PEM, readable only by its owner) and the public key to FILE.pub. Existing files are never
overwritten. Add the public key to [releases] trusted_keys on the hosts. To change keys, list both there, sign with the new key,
then remove the old one.

Example:
  slotctl keygen release.key`;

export function keygenCommand(session: SlotctlSession): Command {
  return new Command("keygen")
    .description("makes a key to sign releases with")
    .argument("<file>", "file to write the private key to")
    .addHelpText("after", help)
    .action(async (file: string) => {
      const { makeKey } = await import("../../pack/key-file.ts");
      const made = await makeKey(file).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "EEXIST")
          throw new SlotctlUsageError(`${error.path} already exists; keys are never overwritten`);
        throw new SlotctlUsageError(`${file} can't be written: ${error.message}`);
      });
      if (session.json) session.printJson({ file, ...made });
      else session.print(made.publicKey, `key ${made.id}`);
    });
}
