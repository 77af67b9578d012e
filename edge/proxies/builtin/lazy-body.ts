import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";

/**
 * A request's body that is not consumed before the first read. Until then, the request can be sent to another endpoint,
 * whatever happened to the first try.
 */
export class LazyBody extends Readable {
  begun = false;

  constructor(private readonly request: IncomingMessage) {
    super();
  }

  override _read(): void {
    if (!this.begun) this.begin();
    else this.request.resume();
  }

  private begin(): void {
    this.begun = true;
    this.request.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) this.request.pause();
    });
    this.request.once("end", () => this.push(null));
    this.request.once("error", (error) => this.destroy(error));
    this.request.once("close", () => {
      if (!this.request.complete) this.destroy(new Error("the client went away"));
    });
  }
}
