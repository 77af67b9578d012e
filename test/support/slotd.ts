import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { PATIENCE_MS } from "./until.ts";

const AGENT = fileURLToPath(new URL("../../agent/main.js", import.meta.url));

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `slotd` to its end. One that does not end by itself is killed after a while, and has the code -1. */
export function slotd(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [AGENT, ...args],
      { timeout: PATIENCE_MS, killSignal: "SIGKILL" },
      (error, stdout, stderr) =>
        resolve({ code: error ? (typeof error.code === "number" ? error.code : -1) : 0, stdout, stderr }),
    );
  });
}
