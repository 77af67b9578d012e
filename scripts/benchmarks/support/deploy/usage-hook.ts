import { writeFileSync } from "node:fs";

// Imported before a program, by Node's --import: what the process took is written down as it ends.
process.once("exit", () => {
  if (process.env.BENCH_USAGE) writeFileSync(process.env.BENCH_USAGE, JSON.stringify(process.resourceUsage()));
});
