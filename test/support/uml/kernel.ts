import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, openSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import type { Duplex } from "node:stream";
import { repository } from "../release.ts";
import { runEnvironment } from "../run.ts";
import type { GuestTree } from "./guest.ts";

const SMALL_XSTATE = join(repository, "test/support/uml/small-xstate.c");

/**
 * Runs in a PID and a mount namespace of its own: no process outlives its first one, and no mount outlives its
 * processes.
 */
const MACHINE = `
directory=$1 root=$2; shift 2
mount -t overlay overlay -o "lowerdir=/usr,upperdir=$directory/usr,workdir=$directory/work" "$root/usr" &&
  mount --bind "$directory/share" "$root/srv/share" &&
  mount --bind "$directory/commands" "$root/srv/commands" || exit
LD_PRELOAD=$directory/small-xstate.so linux.uml "$@"
exit $?
`;

/**
 * Started with SIGTERM as parent-death signal, it is what removes the directory of a machine whose test process was
 * killed. SIGTERM ends all that there is of the machine at once.
 */
const GUARD = `
machine=$1 directory=$2; shift
setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork --kill-child --mount-proc \\
  /bin/bash -c "$machine" machine "$@" &
child=$!
clear_away() {
  # The first process of the namespace: it is not gone before all others are.
  kill -KILL $(cat "/proc/$child/task/$child/children") || kill -KILL "$child"
  wait "$child"
  rm -rf --one-file-system "$directory"
  exit 1
} 2>/dev/null
trap clear_away TERM INT HUP
# A signal ends the waiting, but not the child.
while kill -0 "$child" 2>/dev/null; do wait "$child" && status=0 || status=$?; done
exit "$status"
`;

/** One boot: a user-mode kernel, and the systemd that it runs as PID 1. */
export class Kernel {
  private readonly guard: ChildProcess;
  private readonly line: Duplex;
  private readonly waiting = new Map<string, (code: number) => void>();
  /** The end of all of its processes. */
  readonly ended: Promise<unknown>;

  constructor(tree: GuestTree, memoryMb: number, console: string) {
    const directory = dirname(tree.root);
    mkdirSync(join(directory, "work"), { recursive: true });
    execFileSync("tcc", ["-shared", "-o", join(directory, "small-xstate.so"), SMALL_XSTATE]);
    const out = openSync(console, "a");
    const options = [
      ...[`mem=${memoryMb}M`, `uml_dir=${directory}/uml`, "umid=machine"],
      ...["rootfstype=hostfs", `rootflags=${tree.root}`, "root=/dev/root", "rw", "init=/lib/systemd/systemd", "quiet"],
      ...["con0=null,fd:1", "con=null", "ssl0=fd:3", "ssl=null"],
    ];
    const guard = ["--pdeathsig", "TERM", "--", "/bin/bash", "-c", GUARD, "guard", MACHINE, directory, tree.root];
    this.guard = spawn("setpriv", [...guard, ...options], {
      stdio: ["ignore", out, out, "pipe"],
      // Where the machine's memory is a file.
      env: {
        ...runEnvironment,
        PATH: `${process.env.PATH}:/usr/sbin`,
        TMPDIR: existsSync("/dev/shm") ? "/dev/shm" : tmpdir(),
      },
    });
    closeSync(out);
    this.ended = once(this.guard, "exit");
    this.line = this.guard.stdio[3] as Duplex;
    this.line.on("error", () => {});
    const lines = createInterface({ input: this.line });
    lines.on("line", (text) => this.take(text));
    lines.on("error", () => {});
    // Nothing that is asked for is answered any more.
    lines.on("close", () => {
      for (const id of [...this.waiting.keys()]) this.take(`${id} -1`);
    });
  }

  get running(): boolean {
    return this.guard.exitCode === null && this.guard.signalCode === null;
  }

  /** Waits until commands are taken: the machine is booting, but has not come up with everything. */
  untilUp(): Promise<number> {
    return this.answer("up");
  }

  /** Runs what is in the directory of that name. @returns its exit code, or -1 if the machine ended */
  run(id: string): Promise<number> {
    const answer = this.answer(id);
    this.line.write(`run ${id}\n`);
    return answer;
  }

  /** Ends a command that runs, and what it started in its session. */
  kill(id: string): void {
    this.line.write(`kill ${id}\n`);
  }

  /** Ends the machine, and removes its directory. */
  async end(): Promise<void> {
    if (!this.running) return;
    this.guard.kill("SIGTERM");
    await this.ended;
  }

  private answer(id: string): Promise<number> {
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
    });
  }

  private take(text: string): void {
    const [id = "", code = "0"] = text.trim().split(" ");
    this.waiting.get(id)?.(Number(code));
    this.waiting.delete(id);
  }
}
