import { readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { writeDurably } from "../../daemon/durable-file.ts";
import { ConfigInvalidError } from "../../protocol/errors.ts";

const revision = z.int().nonnegative();

/** The last applied table, as the texts on the bus that it was made from. */
const keptSchema = z.strictObject({
  format: z.literal(1),
  service: z.string(),
  routes: z.strictObject({ bucketId: z.string(), text: z.string(), revision }).nullable(),
  members: z.array(z.strictObject({ key: z.string(), text: z.string(), revision })),
  serversetsRevision: revision,
});
export type KeptTable = z.infer<typeof keptSchema>;

/** The file that an edge starts from while the bus is unreachable. */
export class StateFile {
  /** Why the file could not be read, and the name that it was set aside under; null if it was good or missing. */
  corrupt: string | null = null;
  private readonly path: string;

  constructor(
    directory: string,
    private readonly service: string,
  ) {
    this.path = join(directory, "last-good.json");
  }

  /**
   * What was written last; null if the file is missing, or was corrupt and is set aside.
   * @throws ConfigInvalidError if the file can't be read at all: it may be good
   */
  readLastGood(): KeptTable | null {
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
      const aside = `${this.path}.corrupt`;
      renameSync(this.path, aside);
      const why = error instanceof z.ZodError ? error.issues[0]?.message : (error as Error).message;
      this.corrupt = `${this.path} could not be read (${why}); it was set aside as ${aside}`.slice(0, 400);
      return null;
    }
  }

  /** @throws if it can't be written. Then the file is removed: none is better than an outdated one. */
  async writeLastGood(kept: Omit<KeptTable, "format" | "service">): Promise<void> {
    try {
      await writeDurably(this.path, JSON.stringify({ format: 1, service: this.service, ...kept }));
    } catch (error) {
      rmSync(this.path, { force: true });
      throw error;
    }
  }
}
