import type picocolors from "picocolors";

/** Paints text, or leaves it as it is where colours are off. */
export type Colours = ReturnType<typeof picocolors.createColors>;
