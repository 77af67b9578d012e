# For prerm and postrm, which have it in them: a package that is removed has no other file left.
# Without its agent, a worker is known by the token of a state directory in its environment, or by its control group.

state_directories() {
  ls -d "$DPKG_ROOT"/var/lib/slotd/*/ 2>/dev/null || true
  sed -n 's/^ *state_directory *= *"\([^"]*\)".*/\1/p' "$DPKG_ROOT"/etc/slotd/*.toml 2>/dev/null || true
}

workers() {
  {
    state_directories | while read -r state; do
      token=$(cat "$state/token" 2>/dev/null) || continue
      [ "${#token}" -eq 32 ] || continue
      grep -lsz "^SLOTD_TOKEN=$token\\." /proc/[0-9]*/environ | cut -d / -f 3
    done
    if [ -z "$DPKG_ROOT" ]; then
      find /sys/fs/cgroup -path '*/slotd.slice/slotd@*.service/slot-*' -name cgroup.procs -exec cat {} + 2>/dev/null || true
    fi
  } | sort -un
}

# Waits until no worker is left, for at most $1 tenths of a second.
until_no_worker() {
  tries=$1
  while [ -n "$(workers)" ]; do
    if [ "$tries" -le 0 ]; then return 1; fi
    tries=$((tries - 1))
    sleep 0.1
  done
}

end_workers() {
  if until_no_worker 0; then return 0; fi
  echo "slotd: ending $(workers | wc -l) workers that no agent has ended" >&2
  workers | xargs -r kill -TERM 2>/dev/null || true
  if until_no_worker 100; then return 0; fi
  workers | xargs -r kill -KILL 2>/dev/null || true
  until_no_worker 50
}
