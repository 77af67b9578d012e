import { z } from "zod";
import { PackageInvalidError } from "./errors.ts";
import { sha256Schema, versionSchema } from "./names.ts";
import { type Release, releaseSchema } from "./release.ts";

/** A file beside the description. */
const fileName = z.string().regex(/^(?!\.{1,2}$)[^/\0]{1,255}$/, "must be the name of a file in the same directory");
const packed = { file: fileName, sha256: sha256Schema, sizeBytes: z.int().positive() };
const packedSchema = z.strictObject(packed);
export type PackedFile = z.infer<typeof packedSchema>;

/**
 * The most archives in a description, whole archives and deltas together: as many as a signature in a `Release` covers.
 */
export const maxPackageArchives = 32;

/**
 * What `slotctl pack` writes next to the archives as NAME-VERSION.release.json: everything about a release except where
 * it will be fetched from. `slotctl sign` adds signatures, and `slotd-controller publish` turns it into a `Release`.
 */
export const releasePackageSchema = z
  .strictObject({
    format: z.literal(1),
    version: versionSchema,
    tree: sha256Schema,
    manifest: packedSchema,
    /** The same tree, whole, in several formats. */
    archives: z.array(packedSchema).min(1),
    deltas: z.array(z.strictObject({ ...packed, base: sha256Schema })),
    signatures: releaseSchema.shape.signatures.unwrap(),
  })
  .refine(({ archives, deltas }) => archives.length + deltas.length <= maxPackageArchives, {
    message: `must be at most ${maxPackageArchives}, deltas included`,
    path: ["archives"],
  })
  .refine((given) => !repeats(packageFiles(given).map(({ file }) => file)), {
    message: "must each have a file of their own",
    path: ["archives"],
  });
export type ReleasePackage = z.infer<typeof releasePackageSchema>;

/** The suffix of a description's file name. */
export const packageSuffix = ".release.json";

/** All the files that it describes. */
export function packageFiles({ archives, deltas, manifest }: Files): PackedFile[] {
  return [...archives, ...deltas, manifest];
}

interface Files {
  archives: PackedFile[];
  deltas: PackedFile[];
  manifest: PackedFile;
}

function repeats(names: readonly string[]): boolean {
  return new Set(names).size < names.length;
}

/** The digests that its signatures cover. */
export function packageDigests({ archives, deltas }: Omit<Files, "manifest">): string[] {
  return [...archives, ...deltas].map(({ sha256 }) => sha256);
}

/**
 * @param file what the text was read from
 * @throws PackageInvalidError
 */
export function parsePackage(text: string, file: string): ReleasePackage {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new PackageInvalidError(file, `is not JSON (${(cause as Error).message})`, { cause });
  }
  const parsed = releasePackageSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new PackageInvalidError(file, `${issue?.path.join(".") || "it"}: ${issue?.message}`, { cause: parsed.error });
}

/** The text of its file. */
export function formatPackage(description: ReleasePackage): string {
  return `${JSON.stringify(releasePackageSchema.parse(description), null, 2)}\n`;
}

/**
 * The archives that an order names: the whole one, and deltas that can be read by any host that can read the whole one.
 */
export type ArchiveFormat = "gz" | "zst";

/**
 * The release to order, given the addresses of its files.
 * @param addressOf returns the address of a file of the package
 * @returns undefined where the package has no archive of that format.
 */
export function toRelease(
  { version, tree, archives, deltas, signatures }: ReleasePackage,
  format: ArchiveFormat | undefined,
  addressOf: (file: string) => { url: string; mirrors: string[] },
): Release | undefined {
  const ending = `.tar.${format ?? ""}`;
  const whole = archives.find(({ file }) => format === undefined || file.endsWith(ending));
  if (whole === undefined) return undefined;
  const like = /\.tar\.[a-z]+$/.exec(whole.file)?.[0] ?? "";
  const fetched = ({ file, sha256, sizeBytes }: PackedFile) => {
    const { url, mirrors } = addressOf(file);
    return { url, ...(mirrors.length > 0 && { mirrors }), sha256, sizeBytes };
  };
  const shorter = deltas.filter(({ file }) => file.endsWith(like));
  return releaseSchema.parse({
    version,
    ...fetched(whole),
    tree,
    ...(shorter.length > 0 && { deltas: shorter.map((delta) => ({ base: delta.base, ...fetched(delta) })) }),
    digests: packageDigests({ archives, deltas }),
    ...(signatures.length > 0 && { signatures }),
  } satisfies Release);
}
