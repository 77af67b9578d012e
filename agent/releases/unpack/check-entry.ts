import { deltaHeadName } from "../../../protocol/manifest.ts";

export type NodeKind = "file" | "directory" | "symlink" | "hardlink";

/** What a tar header says about an entry, not yet checked. */
export interface EntryFacts {
  path: string;
  /** A NodeKind, or whatever else the archive holds, by tar's name for it. */
  type: string;
  /** The target of a link, else "". */
  linkpath: string;
  /** Permission bits, with setuid, setgid and sticky. */
  mode: number;
}

/** The entries so far, by folded path. The root is not in it. */
export type Known = ReadonlyMap<string, { path: string; kind: NodeKind }>;

export interface Accepted {
  /** Relative to the tree, without `./` and a trailing slash; "" is the tree itself. */
  path: string;
  kind: NodeKind;
  /** A symbolic link's target as written; a hard link's as a path of the tree. "" for the others. */
  target: string;
  /**
   * What is new in the tree, outermost first: directories that the path implies, then the entry, if it is new itself.
   */
  adds: { path: string; kind: NodeKind }[];
}

/** `rule` completes "the archive's entry X …". */
export type EntryVerdict = Accepted | { rule: string };

const MAX_PATH_BYTES = 4096;
const MAX_NAME_BYTES = 255;
// biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for these
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
/** A lone surrogate, or the mark that decoding leaves where bytes were not UTF-8: the file would get another name. */
const NOT_UTF8 = /\p{Surrogate}|\ufffd/u;

/** The form under which two paths collide on file systems that ignore case, or compose accents. */
export function fold(path: string): string {
  return path.normalize("NFC").toLowerCase();
}

/**
 * Whether an entry may be written. Pure. Every accepted entry lies in the tree, and so does whatever its link leads to:
 * a parent is never a link, and a symbolic link may climb only at the start of its target, where the parents are
 * known to be real directories; so no chain of links leaves the tree.
 */
export function checkEntry(entry: EntryFacts, known: Known): EntryVerdict {
  const { type, mode } = entry;
  if (!isKind(type)) return { rule: `is of type ${type}, not a file, directory or link` };
  if (mode & 0o7000) return { rule: "has a setuid, setgid or sticky bit" };
  const parts = partsOf(entry.path, type === "directory");
  if (!Array.isArray(parts)) return parts;
  const path = parts.join("/");
  if (path === "") return type === "directory" ? { path, kind: type, target: "", adds: [] } : { rule: "has no name" };

  // Otherwise the first part of a delta would pass for a whole release.
  if (fold(path) === deltaHeadName) return { rule: "is what a delta begins with, and no part of a release" };

  const target = targetOf(type, entry.linkpath, parts.length - 1, known);
  if (typeof target !== "string") return target;

  const adds = missingOf(parts, type, known);
  return Array.isArray(adds) ? { path, kind: type, target, adds } : adds;
}

function isKind(type: string): type is NodeKind {
  return type === "file" || type === "directory" || type === "symlink" || type === "hardlink";
}

/** The names in a path of the archive, "./" taken off its start; a directory may end in a slash. */
function partsOf(path: string, slashMayEnd: boolean): string[] | { rule: string } {
  if (path === "") return { rule: "has no name" };
  const text = textRule(path, "name");
  if (text) return text;
  if (path.startsWith("/")) return { rule: "has an absolute name" };
  const bare = path.replace(/^(\.\/)+/, "");
  const name = slashMayEnd ? bare.replace(/\/$/, "") : bare;
  if (name === "" || (name === "." && slashMayEnd)) return [];
  const parts = name.split("/");
  for (const part of parts) {
    if (part === "..") return { rule: "has '..' in its name" };
    if (part === "" || part === ".") return { rule: "has an empty part or '.' in its name" };
    if (Buffer.byteLength(part) > MAX_NAME_BYTES) return { rule: `has a part longer than ${MAX_NAME_BYTES} bytes` };
  }
  return parts;
}

/** A link's checked target; "" if it is no link. `depth` is the number of directories above the link. */
function targetOf(kind: NodeKind, linkpath: string, depth: number, known: Known): string | { rule: string } {
  switch (kind) {
    case "file":
    case "directory":
      return "";
    case "symlink":
      return symlinkRule(linkpath, depth) ?? linkpath;
    case "hardlink": {
      const parts = partsOf(linkpath, false);
      if (!Array.isArray(parts)) return { rule: `is a hard link whose target ${parts.rule}` };
      const target = parts.join("/");
      const node = known.get(fold(target));
      if (node?.path === target && node.kind === "file") return target;
      return { rule: "is a hard link to what is not an earlier file of the archive" };
    }
  }
}

function symlinkRule(target: string, depth: number): { rule: string } | null {
  if (target === "") return { rule: "is a symbolic link to nothing" };
  const text = textRule(target, "target");
  if (text) return text;
  if (target.startsWith("/")) return { rule: "is a symbolic link to an absolute path" };
  const parts = target.split("/").filter((part) => part !== "" && part !== ".");
  const named = parts.findIndex((part) => part !== "..");
  const climbs = named === -1 ? parts.length : named;
  if (climbs > depth) return { rule: "is a symbolic link that leads outside" };
  // After a name, `..` starts from wherever that name leads, if it is a link: no lexical check can follow it.
  if (parts.includes("..", climbs)) return { rule: "is a symbolic link with '..' after a name" };
  if (parts.some((part) => Buffer.byteLength(part) > MAX_NAME_BYTES)) {
    return { rule: `has a target with a part longer than ${MAX_NAME_BYTES} bytes` };
  }
  return null;
}

function textRule(text: string, what: string): { rule: string } | null {
  if (Buffer.byteLength(text) > MAX_PATH_BYTES) return { rule: `has a ${what} longer than ${MAX_PATH_BYTES} bytes` };
  if (CONTROL.test(text)) return { rule: `has a control character in its ${what}` };
  if (text.includes("\\")) return { rule: `has a backslash in its ${what}` };
  if (NOT_UTF8.test(text)) return { rule: `has a ${what} that is not UTF-8` };
  return null;
}

/** What a path adds to the tree. Refused if it collides with something in the tree. */
function missingOf(parts: string[], kind: NodeKind, known: Known): Accepted["adds"] | { rule: string } {
  const adds: Accepted["adds"] = [];
  let path = "";
  for (const [index, part] of parts.entries()) {
    path = index === 0 ? part : `${path}/${part}`;
    const last = index === parts.length - 1;
    const wanted = last ? kind : "directory";
    const node = known.get(fold(path));
    if (!node) {
      adds.push({ path, kind: wanted });
    } else if (node.path !== path) {
      return { rule: `differs only in case or Unicode form from ${JSON.stringify(node.path)}` };
    } else if (!last && node.kind === "symlink") {
      return { rule: `would be written through the symbolic link ${JSON.stringify(path)}` };
    } else if (!last && node.kind !== "directory") {
      return { rule: `lies in ${JSON.stringify(path)}, which is not a directory` };
    } else if (last && (kind !== "directory" || node.kind !== "directory")) {
      return { rule: "is there twice" };
    }
  }
  return adds;
}
