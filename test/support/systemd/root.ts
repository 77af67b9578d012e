import { cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Where the parts of a booted host are, in its own directory. */
export interface HostTree {
  /** `/` of the host, apart from what is mounted into it. */
  root: string;
  /**
   * What was written to /usr and /var/lib/dpkg: upper layers over this machine's, so that packages can be installed.
   */
  upperUsr: string;
  upperDpkg: string;
  /** Seen by both sides: /srv/share inside. */
  share: string;
}

const TOP = ["usr", "etc", "proc", "sys", "dev", "run", "tmp", "root", "srv", "opt", "home", "var/log/journal"];

const COPIED = [
  "passwd,group,shadow,gshadow,login.defs,nsswitch.conf,ld.so.cache,ld.so.conf,ld.so.conf.d,pam.d,security",
  "dbus-1,alternatives,debian_version,manpath.config",
].flatMap((names) => names.split(","));

/** Units that a host for tests has no use for; most of them wait for hardware. */
const MASKED = [
  "systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket systemd-udev-trigger.service",
  "systemd-logind.service systemd-user-sessions.service console-getty.service getty.target systemd-timesyncd.service",
  "systemd-networkd.service systemd-resolved.service systemd-hwdb-update.service systemd-firstboot.service",
  "systemd-sysusers.service systemd-update-utmp.service systemd-update-utmp-runlevel.service ldconfig.service",
  "systemd-random-seed.service systemd-journal-catalog-update.service systemd-update-done.service dev-hugepages.mount",
  "systemd-machine-id-commit.service systemd-pcrphase.service",
].flatMap((names) => names.split(" "));

/** The least that a multi-user target needs: everything else is what a test installs. */
const TARGET = `[Unit]
Description=The host is up
Requires=basic.target
Wants=dbus.service
After=basic.target dbus.service
AllowIsolate=yes
`;

/**
 * Makes the root directory of a host in `directory`. Programs and libraries come from this machine's /usr, later, as a
 * mount.
 */
export function makeTree(directory: string): HostTree {
  const tree: HostTree = {
    root: join(directory, "root"),
    upperUsr: join(directory, "usr"),
    upperDpkg: join(directory, "dpkg"),
    share: join(directory, "share"),
  };
  for (const path of Object.values(tree)) mkdirSync(path, { mode: 0o755 });
  for (const path of [...TOP, "var/lib/dpkg"]) mkdirSync(join(tree.root, path), { recursive: true, mode: 0o755 });
  for (const name of ["bin", "sbin", "lib", "lib64"])
    if (existsSync(join("/usr", name))) symlinkSync(`usr/${name}`, join(tree.root, name));
  symlinkSync("../run", join(tree.root, "var/run"));
  for (const name of COPIED)
    if (existsSync(join("/etc", name)))
      cpSync(join("/etc", name), join(tree.root, "etc", name), { recursive: true, verbatimSymlinks: true });
  cpSync("/etc/os-release", join(tree.root, "etc/os-release"), { dereference: true });
  writeFileSync(join(tree.root, "etc/machine-id"), "");
  const units = join(tree.root, "etc/systemd/system");
  mkdirSync(join(units, "multi-user.target.wants"), { recursive: true });
  for (const unit of MASKED) symlinkSync("/dev/null", join(units, unit));
  writeFileSync(join(units, "multi-user.target"), TARGET);
  symlinkSync("multi-user.target", join(units, "default.target"));
  return tree;
}
