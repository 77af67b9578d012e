import type { Logger } from "pino";
import { FileOutput } from "./files.ts";
import { JournaldOutput, ownOutputGoesToJournald } from "./journald.ts";
import type { WorkerOutput, Writer } from "./worker-output.ts";

/**
 * The journal where the agent's own output goes there too, or where it is asked for; else files.
 * @param environment of the agent
 */
export function openOutput(
  service: string,
  directory: string,
  { output, max_worker_bytes }: { output: "auto" | "journal" | "files"; max_worker_bytes: number },
  environment: NodeJS.ProcessEnv,
  log: Logger,
): WorkerOutput {
  const onLost = (writer: Writer, err: Error) =>
    log.warn({ err, ...writer }, "journald took no connection: what this worker writes is lost");
  const onNoHoles = () =>
    log.warn(
      { directory },
      "this file system can't free parts of files: output files are copied and truncated, which may lose lines",
    );
  const journal = output === "journal" || (output === "auto" && ownOutputGoesToJournald(environment));
  return journal ? new JournaldOutput(service, onLost) : new FileOutput(directory, max_worker_bytes, onNoHoles);
}
