import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type HostTree, makeTree } from "../systemd/root.ts";

/** What a user-mode kernel is booted from: the same as a host in a container, and a way in. */
export interface GuestTree extends HostTree {
  /** A directory for each command that is run inside: /srv/commands there. */
  commands: string;
}

/**
 * Takes requests from the other end of the serial line, a line each: `run ID`, `kill ID`. What is to be run, and what
 * it says, are files in a directory of that name; the answer is a line with the ID and the exit code. `up` is the first
 * line of all.
 */
const COMMANDS = `#!/bin/bash
exec 3<>/dev/ttyS0
stty -F /dev/ttyS0 raw -echo
echo up >&3
# The test's own way in is the last that lack of memory may take; what it runs is as any other.
echo -1000 >/proc/self/oom_score_adj
unset INVOCATION_ID JOURNAL_STREAM SYSTEMD_EXEC_PID MEMORY_PRESSURE_WATCH MEMORY_PRESSURE_WRITE
run() {
  local at=/srv/commands/$1
  echo 0 >/proc/self/oom_score_adj
  setsid /bin/bash "$at/command" <"$at/input" >"$at/stdout" 2>"$at/stderr" 3>&- &
  echo $! >"$at/pid"
  wait $!
  echo "$1 $?" >&3
}
cd /
while read -r verb id <&3; do
  case $verb in
    run) run "$id" & ;;
    kill) kill -KILL -- "-$(cat "/srv/commands/$id/pid")" ;;
  esac
done
`;

const COMMANDS_UNIT = `[Unit]
Description=Runs what the test asks for
DefaultDependencies=no
After=sysinit.target
[Service]
ExecStart=/bin/bash /etc/commands
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8
KillMode=process
`;

/** What a host in a container does not have either, or has no use for here; most of it loads modules. */
const MASKED = [
  "modprobe@.service kmod-static-nodes.service systemd-modules-load.service systemd-remount-fs.service",
  "systemd-sysctl.service systemd-tmpfiles-setup-dev.service dev-mqueue.mount sys-kernel-config.mount",
  "sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount",
].flatMap((names) => names.split(" "));

/** Makes the root directory of a guest in `directory`, with a unit that takes commands. */
export function makeGuest(directory: string, name: string): GuestTree {
  const commands = join(directory, "commands");
  const tree = { ...makeTree(directory), commands };
  for (const path of [commands, join(tree.root, "srv/share"), join(tree.root, "srv/commands")]) mkdirSync(path);
  const etc = (path: string, text: string) => {
    mkdirSync(dirname(join(tree.root, "etc", path)), { recursive: true });
    writeFileSync(join(tree.root, "etc", path), text);
  };
  etc("hostname", `${name}\n`);
  // As on nspawn's hosts. What is in memory needs none of hostfs' round trips.
  etc("fstab", "tmpfs /tmp tmpfs\n");
  etc("systemd/journald.conf.d/volatile.conf", "[Journal]\nStorage=volatile\n");
  for (const unit of MASKED) symlinkSync("/dev/null", join(tree.root, "etc/systemd/system", unit));
  etc("commands", COMMANDS);
  etc("systemd/system/commands.service", COMMANDS_UNIT);
  symlinkSync("../commands.service", join(tree.root, "etc/systemd/system/multi-user.target.wants/commands.service"));
  return tree;
}
