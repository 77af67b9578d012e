import type { ObjectInfo } from "@nats-io/obj";
import { openReleases } from "../../../bus/buckets.ts";
import { isConflict } from "../../../bus/retry.ts";
import type { BusSession } from "../../../bus/session.ts";
import { sha256Schema } from "../../../protocol/names.ts";
import { objectUrl } from "../../../protocol/release.ts";
import { keys } from "../../../protocol/subjects.ts";
import type { LocalFile } from "./local-file.ts";
import type { PublishTarget, StoredText } from "./target.ts";

/** The bus's object store. */
export class NatsTarget implements PublishTarget {
  readonly where = "the bus's object store";

  constructor(readonly bus: BusSession) {}

  addressOf(name: string): string {
    return objectUrl(name);
  }

  async digestOf(name: string): Promise<string | null> {
    const info = await this.info(name);
    return info && digestOf(info);
  }

  /** An object's metadata; null where there is none. */
  async info(name: string): Promise<ObjectInfo | null> {
    const store = await openReleases(this.bus);
    const info = await this.bus.persist(() => store.info(name));
    return info === null || info.deleted ? null : info;
  }

  createFile(name: string, file: LocalFile, onBytes: (doneBytes: number) => void): Promise<boolean> {
    const metadata = { sha256: file.sha256 };
    return this.put(name, metadata, () => streamOf(file.readChunks(this.bus.signal, onBytes)), null);
  }

  async fetchText(name: string): Promise<StoredText | null> {
    const store = await openReleases(this.bus);
    const info = await this.info(name);
    const bytes = info && (await this.bus.persist(() => store.getBlob(name)));
    return info && bytes ? { text: Buffer.from(bytes).toString("utf8"), revision: info.revision } : null;
  }

  replaceText(name: string, text: string, was: StoredText | null): Promise<boolean> {
    return this.put(name, {}, () => new Blob([text]).stream() as ReadableStream<Uint8Array>, was);
  }

  /** Deletes the archive, the package and the description of a version. */
  async removeVersion(service: string, version: string): Promise<void> {
    const store = await openReleases(this.bus);
    const all = await this.bus.persist(() => store.list());
    const [plain, described] = [keys.archive(service, version), `${service}/${version}.json`];
    const own = all.filter(
      ({ name }) => [plain, described].includes(name) || name.startsWith(`${service}/${version}/`),
    );
    // The description goes first: without it nobody can order what is half deleted.
    own.sort((x, y) => Number(y.name === described) - Number(x.name === described));
    for (const { name, deleted } of own) if (!deleted) await this.bus.persist(() => store.delete(name));
  }

  private async put(
    name: string,
    metadata: Record<string, string>,
    content: () => ReadableStream<Uint8Array>,
    was: StoredText | null,
  ): Promise<boolean> {
    const { bus } = this;
    const store = await openReleases(bus);
    const there = await bus.persist(() => store.info(name));
    // A deleted object leaves a marker, and the next write follows its revision.
    const free = there === null || there.deleted;
    if (!free && there.revision !== was?.revision) return false;
    try {
      const options = { previousRevision: there?.revision ?? 0, timeout: bus.timeoutMs };
      await bus.persist(() => store.put({ name, description: name, metadata }, content(), options));
      return true;
    } catch (error) {
      if (isConflict(error)) return false;
      throw error;
    }
  }
}

/** The object's sha256 in hex: as it was noted, else from the store's own digest (`SHA-256=` and base64url). */
export function digestOf(info: ObjectInfo): string {
  const noted = sha256Schema.safeParse(info.metadata?.sha256);
  return noted.success ? noted.data : Buffer.from(info.digest.replace(/^SHA-256=/, ""), "base64url").toString("hex");
}

function streamOf(chunks: AsyncGenerator<Uint8Array, void>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await chunks.next();
      if (next.done) return controller.close();
      controller.enqueue(next.value);
    },
    async cancel() {
      await chunks.return();
    },
  });
}
