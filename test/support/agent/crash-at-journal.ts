/**
 * Imported into an agent's process before the agent (`node --import`). Ends it by SIGKILL at its n-th write of the
 * journal, just before the new content takes the old one's place or just after it. When is in the file that this
 * module's `plan` parameter names: `before 3`, `after 1`; without that file nothing happens.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const plan = new URL(import.meta.url).searchParams.get("plan") as string;
const rename = fs.renameSync;

fs.renameSync = (from, to) => {
  if (!String(to).endsWith("/journal.json") || !fs.existsSync(plan)) return rename(from, to);
  const [when, nth] = fs.readFileSync(plan, "utf8").split(" ");
  if (Number(nth) > 1) {
    fs.writeFileSync(plan, `${when} ${Number(nth) - 1}`);
    return rename(from, to);
  }
  fs.rmSync(plan);
  if (when === "after") rename(from, to);
  process.kill(process.pid, "SIGKILL");
};
syncBuiltinESMExports();
