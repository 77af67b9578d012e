#!/bin/bash
# Runs a program in cgroups of its own, and ends with its exit code. Started with SIGTERM as parent-death signal, it is what ends a
# machine whose test process was killed: systemd-nspawn alone would leave the systemd inside running.
#   guard.sh DIRECTORY CGROUP… -- PROGRAM ARGUMENTS…
# SIGUSR1 kills everything in the cgroups at once. SIGTERM does so too, and removes the cgroups and the directory.
directory=$1
shift
groups=()
while [ "$1" != -- ]; do groups+=("$1") && shift; done
shift

cut() {
  local group
  for group in "${groups[@]}"; do
    # cgroup.kill (Linux 5.14) spares nobody who forks meanwhile; v1 has none.
    echo 1 >"$group/cgroup.kill" || find "$group" -name cgroup.procs -exec cat {} + | xargs -r kill -KILL
  done 2>/dev/null
}

clear_away() {
  cut
  wait "$child"
  local tries
  # The kernel takes a moment to let go of what was killed.
  for tries in {1..100}; do
    find "${groups[@]}" -depth -type d -exec rmdir {} + 2>/dev/null
    [ -n "$(ls -d "${groups[@]}" 2>/dev/null)" ] || break
    sleep 0.05
  done
  rmdir "/run/systemd/nspawn/propagate/${groups[0]##*/}" 2>/dev/null
  rm -rf --one-file-system "$directory"
  exit 1
}

trap cut USR1
trap clear_away TERM INT HUP
(
  trap - USR1 TERM INT HUP
  for group in "${groups[@]}"; do echo "$BASHPID" >"$group/cgroup.procs" || exit; done
  exec "$@"
) &
child=$!
# A signal ends the waiting, but not the child.
while kill -0 "$child" 2>/dev/null; do wait "$child" && status=0 || status=$?; done
exit "$status"
