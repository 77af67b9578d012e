# Sourced by scripts/package: the steps that build the package, in the order in which they are called.

ESBUILD=0.28.2
NODE=24.21.0

arch=$(dpkg --print-architecture 2>/dev/null || uname -m)
case "$arch" in
  amd64 | x86_64) arch=amd64 node_arch=x64 ;;
  arm64 | aarch64) arch=arm64 node_arch=arm64 ;;
  *) die "no package can be built for $arch: there is no Node ${NODE%%.*} for it on npm" ;;
esac

# Finds esbuild and the runtime in node_modules, otherwise in .cache/package, which is filled once.
need_tools() {
  local name
  for name in esbuild "node-linux-$node_arch"; do
    [ -d "node_modules/$name" ] || [ -d ".cache/package/node_modules/$name" ] || {
      say "fetching esbuild and node-linux-$node_arch into .cache/package …"
      npm install --prefix .cache/package --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error \
        "esbuild@$ESBUILD" "node-linux-$node_arch@$NODE" >&2
      break
    }
  done
  esbuild=$(in_modules esbuild/bin/esbuild)
  runtime=$(in_modules "node-linux-$node_arch")
}

in_modules() {
  local modules
  for modules in node_modules .cache/package/node_modules; do
    [ ! -e "$modules/$1" ] || { printf %s "$modules/$1" && return; }
  done
  die "$1 is in neither node_modules nor .cache/package/node_modules"
}

# The time of the last commit or, outside a repository, of the changelog.
source_date() {
  git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md
}

# run_script FILE ARGUMENTS…: runs a script in this folder. The repository does not have to be built first.
run_script() {
  "$esbuild" "scripts/packaging/$1" --platform=node --format=esm --log-level=warning --outfile="$work/$1.mjs" >&2
  node "$work/$1.mjs" "${@:2}"
}

# put MODE FILE TARGET: installs a file in the package.
put() {
  install -D -m "$1" "$2" "$stage/$3"
}

# Bundles each program into one file, and each thread that slotd starts into another one next to it. An upgrade replaces these files while
# slotd runs, so no file may load another one later. Packages that load files by path, or native code, are not bundled.
put_programs() {
  local lib=usr/lib/slotd
  # CommonJS packages use these names, which an ES module does not have.
  local banner='import { createRequire as __createRequire } from "node:module";
import { dirname as __pathOf } from "node:path";
import { fileURLToPath as __fileOf } from "node:url";
const require = __createRequire(import.meta.url), __filename = __fileOf(import.meta.url), __dirname = __pathOf(__filename);'
  bundle() {
    "$esbuild" "$1" --bundle --platform=node --format=esm --target="node${NODE%%.*}" --external:koffi --external:osx-temperature-sensor \
      --legal-comments=none --log-level=warning --banner:js="$banner" --metafile="$work/$2.meta.json" \
      --outfile="$stage/$lib/$2" >&2
    sed -i '1s|^#!.*|#!/usr/lib/slotd/bin/node|' "$stage/$lib/$2"
  }
  bundle agent/main.ts slotd.js
  bundle agent/releases/unpack/unpack-thread.ts unpack-thread.js
  bundle agent/releases/store/audit-thread.ts audit-thread.js
  bundle agent/cli/main.ts slotctl.js
  bundle controller-stub/main.ts slotd-controller.js
  bundle edge/main.ts slotd-edge.js
  # Runs inside apps, on whatever Node they have.
  "$esbuild" agent/workers/process/node-listen.cts --format=cjs --target=node18 --log-level=warning --outfile="$stage/$lib/node-listen.cjs" >&2
  put 755 "$runtime/bin/node" $lib/bin/node
  printf '{"name":"slotd","version":"%s","private":true,"type":"module"}\n' "$version" >"$stage/$lib/package.json"
  local program options
  for program in slotd slotctl slotd-controller slotd-edge; do
    # Starts the packaged runtime, whatever `node` the host has, with `exec`, because systemd watches the process that it starts.
    # Takes Node's options from the first line of agent/main.ts; the other programs have none.
    options=
    [ "$program" != slotd ] || options=$(sed -n '1s/^#!.* node \(--.*\)$/\1 /p' agent/main.ts)
    install -D -m 755 /dev/stdin "$stage/usr/bin/$program" <<END
#!/bin/sh
exec /usr/lib/slotd/bin/node $options/usr/lib/slotd/$program.js "\$@"
END
  done
  local native=@koromix/koffi-linux-$node_arch file
  for file in koffi/{package.json,index.js,src/koffi/index.js,src/koffi/src/static.js} "$native"/{package.json,index.js,"linux_$node_arch/koffi.node"}; do
    put 644 "node_modules/$file" "$lib/node_modules/$file"
  done
}

put_units() {
  put 644 systemd/slotd@.service usr/lib/systemd/system/slotd@.service
  put 644 systemd/slotd-edge@.service usr/lib/systemd/system/slotd-edge@.service
  put 644 systemd/slotd.slice usr/lib/systemd/system/slotd.slice
  put 755 systemd/after-agent usr/lib/slotd/after-agent
  put 644 systemd/slotd.sysusers.conf usr/lib/sysusers.d/slotd.conf
  put 644 systemd/slotd.tmpfiles.conf usr/lib/tmpfiles.d/slotd.conf
  put 644 systemd/example.toml usr/share/doc/slotd/examples/web.toml
  put 644 systemd/example-edge.toml usr/share/doc/slotd/examples/edge.toml
  install -d "$stage/etc/slotd" "$stage/etc/slotd-edge"
}

put_documents() {
  local page section
  for page in docs/man/*.[1-8]; do
    section=${page##*.}
    install -d "$stage/usr/share/man/man$section"
    sed "s/@VERSION@/$version/; s/@DATE@/$(date -u -d "@$SOURCE_DATE_EPOCH" +%F)/" "$page" | gzip -9n >"$stage/usr/share/man/man$section/${page##*/}.gz"
  done
  # Man pages of the configurations, made from the documents.
  install -d "$stage/usr/share/man/man5"
  run_script config-page.ts slotd.toml "$version" docs/config.md | gzip -9n >"$stage/usr/share/man/man5/slotd.toml.5.gz"
  run_script config-page.ts slotd-edge.toml "$version" docs/{edge,edge-varnish,edge-haproxy,several-services}.md |
    gzip -9n >"$stage/usr/share/man/man5/slotd-edge.toml.5.gz"
  # The documents themselves, in the same folders as here, so that their links hold. Messages name them as docs/PAGE.md.
  for page in README.md ARCHITECTURE.md CHANGELOG.md LICENSE {docs,systemd,examples/web}/*.md examples/web/{server.mjs,build.mjs,public/*} protocol/schemas/*.json; do
    put 644 "$page" "usr/share/doc/slotd/$page"
  done
  # The recipes, without what was installed or built in them.
  find examples/apps examples/two-services -type f -not -path '*/node_modules/*' -not -path '*/.next/*' | while read -r page; do
    put 644 "$page" "usr/share/doc/slotd/$page"
  done
  local program
  for program in slotd slotctl slotd-controller slotd-edge; do
    put 644 scripts/packaging/completions/$program.bash usr/share/bash-completion/completions/$program
    put 644 scripts/packaging/completions/_$program usr/share/zsh/vendor-completions/_$program
  done
  # The copyright file must name what the bundles contain, and the native packages next to them.
  run_script copyright.ts "$runtime" +node_modules/{koffi,@koromix/koffi-linux-$node_arch} "$work"/*.meta.json |
    install -D -m 644 /dev/stdin "$stage/usr/share/doc/slotd/copyright"
  gzip -9nc CHANGELOG.md | install -D -m 644 /dev/stdin "$stage/usr/share/doc/slotd/NEWS.gz"
  gzip -9n <<END | install -D -m 644 /dev/stdin "$stage/usr/share/doc/slotd/changelog.gz"
slotd ($version) stable; urgency=medium

  * What changed is in NEWS.gz.

 -- The slotd authors <slotd@localhost>  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
}

put_control() {
  local control=$stage/DEBIAN
  install -d "$control"
  local kib
  kib=$(find "$stage" -type f -printf '%s\n' | awk '{ kib += int(($1 + 1023) / 1024) } END { print kib }')
  sed "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@SIZE@/$kib/" scripts/packaging/control >"$control/control"
  local script
  for script in postinst prerm postrm; do
    sed -e '/^# @workers$/ {' -e 'r scripts/packaging/workers.sh' -e 'd' -e '}' "scripts/packaging/$script" |
      install -D -m 755 /dev/stdin "$control/$script"
  done
  (cd "$stage" && find . -type f -not -path './DEBIAN/*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum) >"$control/md5sums"
}

# Keeps everything that depends on this machine out of the package: times, owners, the number of processors.
seal() {
  find "$stage" -print0 | xargs -0 touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
  dpkg-deb --root-owner-group --threads-max=1 -Zzstd -z9 --build "$stage" "$1" >&2
}
