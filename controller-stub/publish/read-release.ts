import { readFileSync } from "node:fs";
import { type Release, releaseSchema } from "../../protocol/release.ts";
import { ArgumentError } from "../errors.ts";

/**
 * The release in a file of what `publish --json` printed.
 * @throws ArgumentError where it is none, or of another service or version
 */
export function readRelease(service: string, version: string, file: string): Release {
  let parsed: ReturnType<typeof releaseSchema.safeParse>;
  let named: unknown;
  try {
    const { service: said, already: _, ...release } = JSON.parse(readFileSync(file, "utf8"));
    parsed = releaseSchema.safeParse(release);
    named = said;
  } catch (cause) {
    throw notPrinted((cause as Error).message, cause);
  }
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw notPrinted(`${issue?.path.join(".")} ${issue?.message}`, parsed.error);
  }
  if (named !== undefined && named !== service)
    throw new ArgumentError("--release", `is of ${named}, not of ${service}`);
  if (parsed.data.version === version) return parsed.data;
  throw new ArgumentError("--release", `is of version ${parsed.data.version}, not ${version}`);
}

function notPrinted(why: string, cause: unknown): ArgumentError {
  return new ArgumentError("--release", `is not what \`publish --json\` prints: ${why}`, { cause });
}
