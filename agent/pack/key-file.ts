import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "../../daemon/durable-file.ts";
import { formatPublicKey, keyId } from "../../protocol/signature.ts";
import { writeWhole } from "./write-whole.ts";

export interface PublicKey {
  /** In the form of `trusted_keys`. */
  publicKey: string;
  id: string;
}

/**
 * Makes a key pair: the private key in a new file that only its owner can read, the public key in FILE.pub.
 * @throws the file system's error; EEXIST if one of the files exists.
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

/** @throws if the file can't be read or is not an Ed25519 private key. */
export async function readKey(path: string): Promise<KeyObject> {
  const pem = await readFile(path, "utf8");
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new Error("it is not a PEM private key without a passphrase", { cause });
  }
  if (key.asymmetricKeyType !== "ed25519") throw new Error(`it is a key for ${key.asymmetricKeyType}, not Ed25519`);
  return key;
}

export function publicPart(key: KeyObject): PublicKey {
  const publicKey = formatPublicKey(createPublicKey(key));
  return { publicKey, id: keyId(publicKey) };
}
