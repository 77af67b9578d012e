import { setMaxListeners } from "node:events";
import { clientMaker } from "./client.ts";
import type { FromUsers, ToUsers, UsersOptions } from "./messages.ts";
import { Tally } from "./tally.ts";
import { User } from "./user.ts";

const options = JSON.parse(process.argv[2] as string) as UsersOptions;
const { urls, requestsPerSecond } = options;
const tally = new Tally();
const stopped = new AbortController();
setMaxListeners(0, stopped.signal);

process.on("message", (message: ToUsers) => {
  if (message.kind === "mark") tally.mark(message.name);
  else if (message.kind === "report") tell({ kind: "report", report: tally.report() });
  else stopped.abort();
});
// Nothing is left to do for whom it is done.
process.on("disconnect", () => process.exit(1));

const makeClient = await clientMaker(options);
const habits = {
  urls,
  switching: options.edges === "switching",
  everyMs: (options.users / requestsPerSecond) * 1_000,
  slowEvery: options.slowEvery ?? 0,
};
const users = Array.from({ length: options.users }, (_, number) => new User(number, habits, makeClient, tally));
// The doors open for a few at a time.
for (let first = 0; first < users.length && !stopped.signal.aborted; first += 50)
  await Promise.all(users.slice(first, first + 50).map((user) => user.load()));
tell({ kind: "ready" });
await Promise.all(users.map((user) => user.live(stopped.signal)));
tell({ kind: "report", report: tally.report() }, () => process.exit(0));

function tell(message: FromUsers, sent: () => void = () => {}): void {
  process.send?.(message, sent);
}
