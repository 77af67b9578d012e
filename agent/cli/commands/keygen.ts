import { Command } from "commander";
import { SlotctlUsageError } from "../errors.ts";
import type { SlotctlSession } from "../session.ts";

const help = `
Writes the private key to FILE (PKCS #8 in PEM, readable for its owner alone) and the public key to FILE.pub. Neither is ever written
over. The public key goes into [releases] trusted_keys of the hosts. To change keys, list the old one and the new one there, sign
with the new one, and take the old one out.

Example:
  slotctl keygen release.key`;

export function keygenCommand(session: SlotctlSession): Command {
  return new Command("keygen")
    .description("makes a key to sign releases with")
    .argument("<file>", "where the private key goes")
    .addHelpText("after", help)
    .action(async (file: string) => {
      const { makeKey } = await import("../../pack/key-file.ts");
      const made = await makeKey(file).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "EEXIST")
          throw new SlotctlUsageError(`${error.path} is there already; a key is never written over`);
        throw new SlotctlUsageError(`${file} can't be written: ${error.message}`);
      });
      if (session.json) session.printJson({ file, ...made });
      else session.print(`${made.publicKey}\nkey ${made.id}`);
    });
}
