#!/bin/bash
# What systemd sees of slotd, and nothing else: a worker in a cgroup of its own, limits where there are controllers, notifications,
# signals. With /run/hang it stands still, and listens to no signal.
top=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
mkdir -p "$top/agent" "$top/slot-a/worker-0"
echo $$ >"$top/agent/cgroup.procs"
for controller in memory pids; do
  grep -qw "$controller" "$top/cgroup.controllers" || continue
  echo "+$controller" >"$top/cgroup.subtree_control" && echo "+$controller" >"$top/slot-a/cgroup.subtree_control"
done
limit=$top/slot-a/worker-0/memory.max
if [ -e "$limit" ]; then echo 50M >"$limit"; fi
worker() { cat "$top/slot-a/worker-0/cgroup.procs"; }
if [ -z "$(worker)" ]; then
  sh -c 'echo $$ >"$1/cgroup.procs" && exec sleep infinity' sh "$top/slot-a/worker-0" &
fi
drain() {
  worker | xargs -r kill
  while [ -n "$(worker)" ]; do sleep 0.01; done
  jobs -p | xargs -r kill 2>/dev/null
  wait
  echo drained
  exit 0
}
trap drain TERM
trap 'echo left; exit 0' USR2
trap 'echo reloaded' HUP
systemd-notify --ready
while :; do
  if [ -e /run/hang ]; then
    trap '' TERM USR2
    echo hanging
    exec sleep infinity
  fi
  systemd-notify WATCHDOG=1
  sleep 0.1 &
  wait $!
done
