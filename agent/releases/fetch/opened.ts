/** The bus's object store. Null: no such object. Throws when the bus is away. */
export interface ObjectSource {
  read(bucket: string, name: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array> | null>;
}

/** What a source is asked for. */
export interface ArchiveRequest {
  /** The size of the whole archive. */
  sizeBytes: number;
  /** The bytes before this one are here already. A source may start at 0 all the same. */
  from: number;
  /** What the same source named as its version earlier, for If-Range. */
  validator: string | null;
  headersFile: string | null;
  signal: AbortSignal;
}

/** An archive on its way. */
export interface ArchiveStream {
  stream: ReadableStream<Uint8Array>;
  /** Its first byte: the requested one, or 0. */
  from: number;
  /** The end that the source named; null: it named none. */
  to: number | null;
  /** See `ArchiveRequest`. */
  validator: string | null;
}
