import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { pack } from "../../../agent/pack/pack.ts";
import { type ReleaseBounds, ReleaseStore } from "../../../agent/releases/store/store.ts";
import type { Manifest } from "../../../protocol/manifest.ts";
import { type ArchiveFormat, toRelease } from "../../../protocol/package.ts";
import type { Release } from "../../../protocol/release.ts";
import type { Owner } from "./owner.ts";

/** The agent's own defaults, but for what would be the same for all. */
const BOUNDS: ReleaseBounds = {
  maxArchiveBytes: 4 * 1024 ** 3,
  maxUnpackedBytes: 16 * 1024 ** 3,
  maxEntries: 500_000,
  stallTimeoutMs: 30_000,
  fetchAttempts: 4,
  fetchBytesPerS: null,
  fetchHeadersFile: null,
  trustedKeys: [],
};

export type Releases = Record<ArchiveFormat, Release>;

/** A directory, packed in both formats as `slotctl pack` does it. */
export async function packBoth(
  owner: Owner,
  directory: string,
  to: string,
  version: string,
  bases: readonly Manifest[] = [],
): Promise<{ releases: Releases; manifest: Manifest }> {
  const { description, manifest } = await pack({
    directory,
    name: "web",
    version,
    formats: ["gz", "zst"],
    bases,
    keys: [],
    to,
    mtimeSeconds: null,
    signal: owner.signal,
    onProgress() {},
  });
  const addressOf = (file: string) => ({ url: pathToFileURL(join(to, file)).href, mirrors: [] });
  const release = (format: ArchiveFormat) => toRelease(description, format, addressOf) as Release;
  return { releases: { gz: release("gz"), zst: release("zst") }, manifest };
}

/** A store as it was left. */
export function storeAt(directory: string): ReleaseStore {
  return new ReleaseStore(directory, BOUNDS, { read: async () => null });
}

/** A store that is ready. */
export async function openStore(directory: string): Promise<ReleaseStore> {
  const store = storeAt(directory);
  await store.prepare();
  return store;
}

/** How long the two steps of an install took, and how many bytes were fetched. */
export interface Installed {
  fetchMs: number;
  unpackMs: number;
  fetchedBytes: number;
}

export async function installTimed(store: ReleaseStore, release: Release, signal: AbortSignal): Promise<Installed> {
  let fetchedBytes = 0;
  const began = performance.now();
  const onProgress = ({ done }: { done: number }) => {
    fetchedBytes = Math.max(fetchedBytes, done);
  };
  const fetched = await store.fetch(release, { signal, onProgress });
  const here = performance.now();
  await store.unpack(fetched, { signal, onProgress() {} });
  return { fetchMs: here - began, unpackMs: performance.now() - here, fetchedBytes };
}
