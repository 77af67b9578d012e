import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The VCL that varnishd starts with, and the one that is being tried. Both are readable for everybody: varnishd has a user of its own. */
export class VclFiles {
  readonly current: string;
  readonly candidate: string;

  constructor(private readonly directory: string) {
    this.current = join(directory, "current.vcl");
    this.candidate = join(directory, "candidate.vcl");
  }

  /** On disk for good, beside the one that is used. */
  writeCandidate(text: string): void {
    mkdirSync(this.directory, { recursive: true, mode: 0o755 });
    const fd = openSync(this.candidate, "w", 0o644);
    try {
      writeFileSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** After a crash at any moment the one before is there, or this one, whole. */
  promote(): void {
    renameSync(this.candidate, this.current);
    const fd = openSync(dirname(this.current), "r");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  discardCandidate(): void {
    rmSync(this.candidate, { force: true });
  }
}
