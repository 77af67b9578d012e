import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { ObjectSource } from "../../../../agent/releases/fetch/opened.ts";
import { type InstalledRelease, type ReleaseBounds, ReleaseStore } from "../../../../agent/releases/store/store.ts";
import type { ErrorCode } from "../../../../protocol/error-codes.ts";
import { SlotdError } from "../../../../protocol/errors.ts";
import type { Release } from "../../../../protocol/release.ts";

export const bounds: ReleaseBounds = {
  maxArchiveBytes: 64 * 1024 ** 2,
  maxUnpackedBytes: 128 * 1024 ** 2,
  maxEntries: 20_000,
  stallTimeoutMs: 5_000,
  fetchAttempts: 3,
  fetchBytesPerS: null,
  fetchHeadersFile: null,
  trustedKeys: [],
};

export const noObjects: ObjectSource = { read: async () => null };

export async function openStore(
  stateDir: string,
  over: Partial<ReleaseBounds> = {},
  objects = noObjects,
): Promise<ReleaseStore> {
  const store = new ReleaseStore(join(stateDir, "releases"), { ...bounds, ...over }, objects);
  await store.prepare();
  return store;
}

export function releaseOf(version: string, archive: Buffer, url: string): Release {
  return { version, url, sha256: sha256Of(archive), sizeBytes: archive.length };
}

export function sha256Of(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The release of an archive that is put into a file. */
export async function releaseInFile(dir: string, version: string, archive: Buffer): Promise<Release> {
  const path = join(dir, `${version}.archive`);
  await writeFile(path, archive);
  return releaseOf(version, archive, pathToFileURL(path).href);
}

export function quietly(signal = new AbortController().signal): { signal: AbortSignal; onProgress(): void } {
  return { signal, onProgress() {} };
}

export async function install(store: ReleaseStore, release: Release): Promise<InstalledRelease> {
  return store.unpack(await store.fetch(release, quietly()), quietly());
}

/** Asserts that a promise fails with a code, and returns the error. */
export async function failsWith(promise: Promise<unknown>, code: ErrorCode): Promise<SlotdError> {
  const error = await promise.then(
    () => assert.fail(`should have failed with ${code}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof SlotdError, `not one of our errors: ${error}`);
  assert.equal(error.code, code, error.message);
  return error;
}
