/** A write of a member, or null for its deletion. */
export interface MemberWrite {
  key: string;
  /** Grows with every write. The edge acknowledges the highest that its proxy runs with. */
  revision: number;
  text: string | null;
}

/** Gets what a registry holds. */
export interface MemberReader {
  /**
   * A listing begins: the last write of each key follows, in the order of revisions.
   * @param registryId differs if the registry was deleted and created again under the same name
   */
  begin(registryId: string): void;
  take(write: MemberWrite): void;
  /** The listing is complete. Later writes are new. */
  listed(): void;
  /** Whether the registry is reachable and takes writes. While it does not, silence says nothing about who is alive. */
  present(present: boolean): void;
}

/** Where an edge gets the members and the routes of its service from. Today it is a watch of a NATS bucket. */
export interface MemberSource {
  start(): void;
  stop(): Promise<void>;
}
