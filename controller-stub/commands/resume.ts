import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addRunOptions, type RunOptions, serviceArgument } from "../deploy/deploy-options.ts";
import { underLock } from "../deploy/run/under-lock.ts";
import { resumeDeploy } from "../deploy/run/verbs/resume.ts";
import { wholeNumberParser } from "../options.ts";

interface ResumeOptions extends RunOptions {
  maxFailures?: number;
  excludeAbsent?: boolean;
}

export function addResume(program: Command, context: Context): void {
  const command = program
    .command("resume")
    .summary("resume a deploy that halted, or whose controller died")
    .description(
      "Resumes the recorded deploy or rollback in the step that it is in, on any " +
        "machine. Hosts that failed are tried again. If somebody has the lock, waits for " +
        "the length of its lease, and takes the lock over unless it is renewed.",
    )
    .addArgument(serviceArgument());
  addRunOptions(command)
    .option("--max-failures <n>", "how many hosts may fail; overrides what the deploy began with", wholeNumberParser(0))
    .option("--exclude-absent", "do not wait for hosts that do not report")
    .addHelpText("after", "\nExample:\n  slotd-controller resume web --without-edge edge-3")
    .action((service: string, options: ResumeOptions, self: Command) =>
      underLock(context, self, { verb: "resume", service, options, takesOver: true }, (deployContext) =>
        resumeDeploy(deployContext, options),
      ),
    );
}
