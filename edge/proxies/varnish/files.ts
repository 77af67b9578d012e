import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeDurably } from "../../../daemon/durable-file.ts";

/**
 * The VCL that varnishd starts with, and the one that is being loaded. Both are world-readable: varnishd runs as its
 * own user.
 */
export class VclFiles {
  readonly candidate: string;
  private readonly current: string;

  constructor(private readonly directory: string) {
    this.candidate = join(directory, "candidate.vcl");
    this.current = join(directory, "current.vcl");
  }

  /** Not durable: varnishd reads it at once, and nothing else does. */
  writeCandidate(text: string): void {
    this.makeDirectory();
    writeFileSync(this.candidate, text, { mode: 0o644 });
  }

  discardCandidate(): void {
    rmSync(this.candidate, { force: true });
  }

  /** Replaces the VCL that varnishd starts with; durable when it resolves. */
  async writeCurrent(text: string): Promise<void> {
    this.makeDirectory();
    await writeDurably(this.current, text, 0o644);
  }

  /** Writes a first VCL to start with, if there is none. */
  ensureCurrent(text: string): void {
    if (existsSync(this.current)) return;
    this.makeDirectory();
    writeFileSync(this.candidate, text, { mode: 0o644, flush: true });
    renameSync(this.candidate, this.current);
  }

  private makeDirectory(): void {
    mkdirSync(this.directory, { recursive: true, mode: 0o755 });
  }
}
