/** A write of a member, or null for its deletion. */
export interface MemberWrite {
  key: string;
  /** Grows with every write. The edge acknowledges the highest that its proxy runs with. */
  revision: number;
  text: string | null;
}

/** Who is told what a registry holds. */
export interface MemberReader {
  /**
   * A listing begins: of each key the last write, in the order of their revisions.
   * @param registryId tells a registry from one of the same name that was made in its place
   */
  begin(registryId: string): void;
  take(write: MemberWrite): void;
  /** The listing is whole; what is taken from now on is news. */
  listed(): void;
  /** Whether the registry is there and can be written to: without that, silence says nothing about who is alive. */
  present(present: boolean): void;
}

/** Where an edge hears of the members of its service, and of their routes. Today it is a watch of a NATS bucket. */
export interface MemberSource {
  start(): void;
  stop(): Promise<void>;
}
