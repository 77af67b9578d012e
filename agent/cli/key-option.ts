import type { KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { parsePublicKey } from "../../protocol/signature.ts";
import { SlotctlUsageError } from "./errors.ts";

/** The private keys in some files. */
export async function readKeys(option: string, files: readonly string[]): Promise<KeyObject[]> {
  const { readKey } = await import("../pack/key-file.ts");
  const keys: KeyObject[] = [];
  for (const file of files) {
    try {
      keys.push(await readKey(file));
    } catch (error) {
      throw new SlotctlUsageError(`${option} ${file} can't be used: ${(error as Error).message}`);
    }
  }
  return keys;
}

/** The texts of public keys, each given as such or as a file that holds one. */
export async function readPublicKeys(option: string, given: readonly string[]): Promise<string[]> {
  const keys: string[] = [];
  for (const word of given) {
    const text = word.startsWith("ed25519:") ? word : await textOf(option, word);
    if (parsePublicKey(text) === null)
      throw new SlotctlUsageError(`${option} must be ed25519:…, or a file with that: ${word}`);
    keys.push(text);
  }
  return keys;
}

async function textOf(option: string, file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    throw new SlotctlUsageError(`${option} ${file} can't be used: ${(error as Error).message}`);
  }
}
