declare const brand: unique symbol;

/**
 * A point in a registry's order of writes: whoever has applied it knows of a withdrawal. Opaque: only the registry
 * makes marks, and only the registry tells whether one was reached (`Edges.hasApplied`). It is a number only because a
 * drain's record, and an edge on the wire, repeat it for people who compare the two; today it is the revision of a NATS
 * bucket.
 */
export type Mark = number & { readonly [brand]: "mark" };

/** An edge, and up to which point of the registry its proxy runs with what is there. */
export interface Acknowledgement {
  edge: string;
  appliedServersets: number;
}
