# Sourced by the scripts: makes sure that what they need is there, and says clearly what is missing where it can't.
# All that is said here goes to standard error, so that a script's last line of output may be JSON.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

need_node() {
  command -v node >/dev/null || die "Node 20 or later is needed: https://nodejs.org"
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || die "Node 20 or later is needed, but this is $(node --version)"
}

# need_commands COMMAND=PACKAGE…: installs the Debian packages of the commands that are absent.
need_commands() {
  local pair missing=()
  for pair in "$@"; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local hint="install by hand: apt-get install ${missing[*]}"
  command -v apt-get >/dev/null || die "${missing[*]}: not installed, and there is no apt-get here; $hint"
  [ "$(id -u)" = 0 ] || die "${missing[*]}: not installed, and only root can install; $hint"
  say "installing ${missing[*]} …"
  # A package's own service must not be started by this: the tests run servers of their own.
  local policy=/usr/sbin/policy-rc.d ours=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && ours=1
  fi
  local status=0
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
    >/dev/null 2>&1 </dev/null || status=$?
  [ -z "$ours" ] || rm -f "$policy"
  [ "$status" = 0 ] || die "apt-get could not install ${missing[*]}; $hint"
}

# The dependencies that the lock file names, and the compiled program.
need_build() {
  need_node
  if ! cmp -s package-lock.json node_modules/.slotd-lock; then
    say "installing npm packages …"
    npm ci --no-audit --no-fund --loglevel=error >&2
    cp package-lock.json node_modules/.slotd-lock
  fi
  say "building …"
  npm run --silent build >&2
}
