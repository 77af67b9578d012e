/** The thread that unpacks one archive and ends. It reports its progress, then the result. */
import { treeDigest } from "../../../protocol/manifest.ts";
import { readManifest, writeManifest } from "../manifest-file.ts";
import { type InThread, workInThread } from "../work-in-thread.ts";
import { unpackArchive } from "./archive.ts";
import { BaseTree } from "./base-tree.ts";
import { DeltaReader } from "./delta-reader.ts";
import { corrupt, UnpackFailure, type UnpackFault } from "./failure.ts";
import { TreeWriter } from "./tree-writer.ts";
import type { UnpackJob, UnpackReport } from "./unpack.ts";

const ENTRIES_PER_REPORT = 250;

await workInThread<UnpackJob, UnpackReport>(unpack, (error) => ({ kind: "failed", failure: failureOf(error) }));

async function unpack(job: UnpackJob, { goOn, signal, onProgress }: InThread): Promise<UnpackReport> {
  const writer = new TreeWriter(job.tree, job.bounds, (entries) => {
    goOn();
    if (entries % ENTRIES_PER_REPORT === 0) onProgress(entries);
  });
  try {
    const base = job.base && {
      tree: new BaseTree(job.base.tree, job.base.installedAt),
      manifest: await readManifest(job.base.manifest),
    };
    await unpackArchive(job.archive, base ? new DeltaReader(writer, base) : writer, signal);
    if (writer.nodes === 0) throw corrupt("it is empty");
    const entries = writer.manifest;
    const tree = treeDigest(entries);
    writeManifest(job.manifest, { format: 1, version: job.version, tree, entries });
    const ownNodes = entries.filter(({ type }) => type !== "file").length;
    return { kind: "done", entries: writer.entries, bytes: writer.bytes, tree, ownNodes };
  } finally {
    writer.close();
  }
}

function failureOf(error: unknown): UnpackFault {
  if (error instanceof UnpackFailure) return error.failure;
  return { kind: "internal", message: error instanceof Error ? error.message : String(error) };
}
