/** The reason of a step that was left because something else is wanted now. */
export class Superseded extends Error {
  constructor() {
    super("something else is wanted now");
  }
}
