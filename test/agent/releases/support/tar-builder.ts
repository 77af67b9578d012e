import { gzipSync } from "node:zlib";
import { Header } from "tar";

export interface Made {
  path: string;
  type?: Header["type"];
  content?: string | Buffer;
  /** The size that the header states, if it is not the content's. */
  size?: number;
  linkpath?: string;
  mode?: number;
  /** Pax records before the entry. */
  pax?: Record<string, string>;
}

/** A tar archive with exactly these entries, good or bad. */
export function tarOf(entries: Made[], { end = true } = {}): Buffer {
  const blocks = entries.flatMap((made) => [
    ...(made.pax ? [record({ path: "PaxHeader/x", type: "ExtendedHeader", content: paxOf(made.pax) })] : []),
    record(made),
  ]);
  return Buffer.concat([...blocks, Buffer.alloc(end ? 1024 : 0)]);
}

export function tarGzOf(entries: Made[], options?: { end?: boolean }): Buffer {
  return gzipSync(tarOf(entries, options));
}

/** One header with its padded body. */
export function record({ path, type = "File", content = "", size, linkpath = "", mode = 0o644 }: Made): Buffer {
  const body = Buffer.from(content);
  const header = new Header({
    path,
    linkpath,
    mode,
    size: size ?? body.length,
    mtime: new Date(1.7e12),
    uid: 0,
    gid: 0,
  });
  header.type = type;
  const block = Buffer.alloc(512);
  header.encode(block);
  return Buffer.concat([block, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}

export function paxOf(records: Record<string, string>): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest + 1;
    while (rest + String(length).length !== length) length = rest + String(length).length;
    return `${length} ${key}=${value}\n`;
  });
  return Buffer.from(lines.join(""));
}

/** A small app: a script, a link, a directory. */
export function appTar(text = "hello"): Buffer {
  return tarGzOf([
    { path: "./", type: "Directory", mode: 0o700 },
    { path: "./server.js", content: `console.log(${JSON.stringify(text)})`, mode: 0o755 },
    { path: "./public/", type: "Directory", mode: 0o755 },
    { path: "./public/index.html", content: text },
    { path: "./public/start", type: "SymbolicLink", linkpath: "../server.js", mode: 0o777 },
    { path: "./copy.js", type: "Link", linkpath: "./server.js" },
  ]);
}

/** Many small files: enough that an unpacking has a middle. */
export function manyFiles(count: number): Buffer {
  return tarGzOf(Array.from({ length: count }, (_, i) => ({ path: `d${i % 50}/f${i}`, content: `file ${i}` })));
}
