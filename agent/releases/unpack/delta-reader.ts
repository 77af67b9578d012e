import { type DeltaHead, deltaHeadName, deltaHeadSchema, type Manifest } from "../../../protocol/manifest.ts";
import type { BaseTree } from "./base-tree.ts";
import { corrupt } from "./failure.ts";
import type { TarEntry, TarHandler } from "./tar-reader.ts";
import type { TreeWriter } from "./tree-writer.ts";

/** Enough for a million paths of common length. */
const MAX_HEAD_BYTES = 128 * 1024 ** 2;

/** The base of a delta: a tree and its manifest. */
export interface DeltaBase {
  tree: BaseTree;
  manifest: Manifest;
}

/**
 * Takes from the base what a delta archive's head keeps, then what the archive contains. Throws UnpackFailure.
 */
export class DeltaReader implements TarHandler {
  private readonly head: Buffer[] = [];
  private state: "begun" | "head" | "body" = "begun";

  constructor(
    readonly writer: TreeWriter,
    readonly base: DeltaBase,
  ) {}

  extension(bytes: number): void {
    this.writer.extension(bytes);
  }

  entry(entry: TarEntry): void {
    if (this.state === "body") {
      this.writer.entry(entry);
      return;
    }
    if (entry.path !== deltaHeadName || entry.type !== "file") throw corrupt(`it does not begin with ${deltaHeadName}`);
    if (entry.sizeBytes > MAX_HEAD_BYTES) throw corrupt("its head is too long");
    this.writer.extension(entry.sizeBytes);
    this.state = "head";
  }

  data(chunk: Uint8Array): void {
    if (this.state === "body") this.writer.data(chunk);
    else this.head.push(Buffer.from(chunk));
  }

  entryEnd(): void {
    if (this.state === "body") {
      this.writer.entryEnd();
      return;
    }
    this.state = "body";
    this.takeOver(parseHead(Buffer.concat(this.head).toString("utf8")));
  }

  private takeOver({ base, without }: DeltaHead): void {
    const { manifest, tree } = this.base;
    if (base !== manifest.tree) throw corrupt(`it is against the tree ${base}, not ${manifest.tree}`);
    const left = new Set(without);
    for (const entry of manifest.entries) if (!left.delete(entry.path)) this.writer.adopt(entry, tree);
    // It was made against a different tree, whatever it claims.
    for (const path of left)
      throw corrupt(`it leaves out ${JSON.stringify(path.slice(0, 512))}, which its base does not have`);
  }
}

function parseHead(text: string): DeltaHead {
  try {
    return deltaHeadSchema.parse(JSON.parse(text));
  } catch (error) {
    throw corrupt(`its head can't be read: ${(error as Error).message.slice(0, 200)}`);
  }
}
