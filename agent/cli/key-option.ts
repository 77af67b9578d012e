import type { KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { parsePublicKey } from "../../protocol/signature.ts";
import { SlotctlUsageError } from "./errors.ts";

/** Reads private keys from files. */
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

/** Public keys, each given as text or as a file that holds one. */
export async function readPublicKeys(option: string, given: readonly string[]): Promise<string[]> {
  const keys: string[] = [];
  for (const word of given) {
    const text = word.startsWith("ed25519:") ? word : await textOf(option, word);
    if (parsePublicKey(text) === null)
      throw new SlotctlUsageError(`${option} must be a public key (ed25519:…) or a file that holds one, not ${word}`);
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
