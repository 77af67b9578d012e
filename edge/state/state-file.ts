import { readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import { z } from "zod";
import { writeDurably } from "../../daemon/durable-file.ts";
import { ConfigInvalidError } from "../../protocol/errors.ts";

const revision = z.int().nonnegative();

/**
 * What the last applied table was made from: texts as the bus had them, so that the format does not depend on the
 * edge's own types.
 */
const keptSchema = z.strictObject({
  format: z.literal(1),
  service: z.string(),
  routes: z.strictObject({ bucketId: z.string(), text: z.string(), revision }).nullable(),
  members: z.array(z.strictObject({ key: z.string(), text: z.string(), revision })),
  serversetsRevision: revision,
});
type KeptTable = z.infer<typeof keptSchema>;

/** What a table was made from. */
export type TableSources = Omit<KeptTable, "format" | "service">;

/** The last good table on disk, from which an edge starts while the bus is away. */
export class StateFile {
  /** Why the file could not be read, and its new name, or why it could not be written; null if all is well. */
  problem: string | null = null;
  private corrupt: string | null = null;
  private readonly path: string;

  constructor(
    directory: string,
    private readonly service: string,
    private readonly log: Logger,
  ) {
    this.path = join(directory, "last-good.json");
  }

  /**
   * What was saved last; null if there is nothing. A file that makes no sense is renamed to `last-good.json.corrupt`,
   * and also gives null.
   * @throws ConfigInvalidError if the file can't be read: its content may be good
   */
  readLastGood(): TableSources | null {
    let text: string;
    try {
      text = readFileSync(this.path, "utf8");
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      if (code === "ENOENT") return null;
      throw new ConfigInvalidError("state_directory", `holds ${this.path}, which can't be read (${message})`, {
        cause,
      });
    }
    try {
      const kept = keptSchema.parse(JSON.parse(text));
      if (kept.service !== this.service) throw new Error(`it belongs to the service ${kept.service}`);
      return kept;
    } catch (error) {
      this.setAside(error instanceof z.ZodError ? error.issues[0]?.message : (error as Error).message);
      return null;
    }
  }

  /**
   * Replaces the file. An edge that starts without a bus must not go back behind what was acknowledged, so call this
   * before acknowledging. Never throws: if it fails, `problem` says why, and the file is removed rather than left out
   * of date.
   */
  async writeLastGood(sources: TableSources | null): Promise<void> {
    if (sources === null) return;
    try {
      await writeDurably(this.path, JSON.stringify({ format: 1, service: this.service, ...sources }));
      this.problem = this.corrupt;
    } catch (error) {
      rmSync(this.path, { force: true });
      this.problem = `the last good table could not be written: ${(error as Error).message}`;
      this.log.error({ err: error }, "last good table could not be written");
    }
  }

  private setAside(why: string | undefined): void {
    const aside = `${this.path}.corrupt`;
    renameSync(this.path, aside);
    this.corrupt = `${this.path} could not be read (${why}); it was renamed to ${aside}`.slice(0, 400);
    this.problem = this.corrupt;
    this.log.error({ problem: this.problem }, "last good table was set aside");
  }
}
