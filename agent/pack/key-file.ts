import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "../../daemon/durable-file.ts";
import { formatPublicKey, keyId } from "../../protocol/signature.ts";
import { writeWhole } from "./write-whole.ts";

export interface PublicKey {
  /** As `trusted_keys` takes it. */
  publicKey: string;
  id: string;
}

/**
 * Makes a key pair: the private key in a new file for its owner alone, the public one beside it, as FILE.pub.
 * @throws what the file system says; EEXIST where one of the files is there.
 */
export async function makeKey(path: string): Promise<PublicKey> {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const text = formatPublicKey(publicKey);
  await writeWhole(path, privateKey.export({ type: "pkcs8", format: "pem" }) as string, 0o600);
  try {
    await writeWhole(`${path}.pub`, `${text}\n`);
  } catch (error) {
    await rm(path);
    throw error;
  }
  await syncDirectory(dirname(path));
  return { publicKey: text, id: keyId(text) };
}

/** @throws where the file can't be read, or is no private key for Ed25519. */
export async function readKey(path: string): Promise<KeyObject> {
  const pem = await readFile(path, "utf8");
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new Error("it is not a private key in PEM, without a passphrase", { cause });
  }
  if (key.asymmetricKeyType !== "ed25519") throw new Error(`it is a key for ${key.asymmetricKeyType}, not Ed25519`);
  return key;
}

export function publicPart(key: KeyObject): PublicKey {
  const publicKey = formatPublicKey(createPublicKey(key));
  return { publicKey, id: keyId(publicKey) };
}
