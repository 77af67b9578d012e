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
  local wanted=20.18.1 found
  command -v node >/dev/null || die "Node $wanted or later is needed: https://nodejs.org"
  found=$(node -p process.versions.node)
  printf '%s\n' "$wanted" "$found" | sort -C -V || die "Node $wanted or later is needed, but this is $found"
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

# Installs the npm packages in the lock file, unless they are there. They are installed beside node_modules and then
# moved into place, so that node_modules stays as it was if the registry can't be reached: agents may run from it. What
# npm has in its cache needs no registry.
need_npm_packages() {
  local why staging
  if why=$(node scripts/lib/installed.mjs 2>&1); then return; fi
  say "installing npm packages ($why) …"
  mkdir -p .cache
  staging=$(mktemp -d .cache/npm-XXXXXX)
  cp package.json package-lock.json "$staging"
  if ! (cd "$staging" && npm ci --prefer-offline --no-audit --no-fund --loglevel=error) >&2; then
    rm -rf "$staging"
    die "npm could not install the packages (see above); node_modules is as it was. Is the registry reachable?"
  fi
  [ ! -e node_modules ] || mv node_modules "$staging/old"
  mv "$staging/node_modules" node_modules
  rm -rf "$staging"
}

# The npm packages, and the compiled program.
need_build() {
  need_node
  need_npm_packages
  say "building …"
  npm run --silent build >&2
}
