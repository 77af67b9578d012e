import assert from "node:assert/strict";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { repository } from "../support/release.ts";
import { bootSystemd, type SystemdHost } from "../support/systemd/host.ts";
import { buildPackage, packageVersion } from "../support/systemd/package.ts";
import { PACKAGED_NODE, webConfiguration } from "../support/systemd/slotd.ts";
import { until } from "../support/until.ts";

/**
 * A host's life with the package, from its installation to the purge: each test goes on where the one before it ended.
 */

const NEWER = `${packageVersion}+newer`;

let host: SystemdHost;

describe("the package on a host", () => {
  before(async () => {
    const debs = [await buildPackage(), await buildPackage(NEWER)];
    host = await bootSystemd();
    for (const [i, deb] of debs.entries()) host.copyIn(deb, `/srv/slotd-${i}.deb`);
    // The programs bring a runtime of their own: the host's is not needed.
    await host.run(["rm", "-f", process.execPath, "/usr/bin/node", "/usr/local/bin/node"]);
  });

  after(() => host?.close());

  const dpkg = (...args: string[]) => host.run(["dpkg", ...args]);
  const absent = async (path: string) => (await host.run(["test", "-e", path], { check: false })).code === 1;

  it("dpkg -i installs what was built, and asks nothing", async () => {
    const { stderr } = await dpkg("-i", "/srv/slotd-0.deb");
    assert.doesNotMatch(stderr, /warning|error/);
    assert.match((await host.run("dpkg-query -W slotd")).stdout, new RegExp(`^slotd\t${packageVersion}\n$`));
    assert.equal((await dpkg("--verify", "slotd")).stdout, "");
    assert.match((await host.run("getent group slotd")).stdout, /^slotd:/);
    assert.equal((await host.run("stat -c %a /run/slotd /var/lib/slotd /etc/slotd")).stdout, "755\n755\n755\n");
  });

  it("the programs run, with the runtime of the package", async () => {
    assert.equal((await host.run("slotd --version")).stdout.trim(), packageVersion);
    assert.equal((await host.run("slotctl --version")).stdout.trim(), packageVersion);
    assert.match((await host.run("slotctl --help")).stdout, /doctor/);
    assert.match((await host.run("slotd-controller --help")).stdout, /publish/);
    assert.equal((await host.run("slotctl status --service web", { check: false })).code, 3);
  });

  it("the sample configuration is good, and a mistake in it is named", async () => {
    await host.run("cp /usr/share/doc/slotd/examples/web.toml /etc/slotd/web.toml");
    // The host has no Node but the package's own, and the sample's app wants one.
    const without = await host.run("slotd --config /etc/slotd/web.toml --check-config", { check: false });
    assert.match(without.stderr, /^error CONFIG_INVALID: .*app\.command can't be run: node is not on the PATH/);
    await host.run(`ln -s ${PACKAGED_NODE} /usr/local/bin/node`);
    assert.match((await host.run("slotd --config /etc/slotd/web.toml --check-config")).stdout, /good \(service web/);
    await host.run("rm /usr/local/bin/node");
    await host.run("sed 's/^stage/stagee/' /etc/slotd/web.toml >/etc/slotd/bad.toml");
    const bad = await host.run("slotd --config /etc/slotd/bad.toml --check-config", { check: false });
    assert.equal(bad.code, 2);
    assert.match(bad.stderr, /CONFIG_INVALID.*stagee/);
  });

  it("systemd finds no fault with the units, and the man pages that they name", async () => {
    const man = (await host.run("command -v man", { check: false })).code === 0 ? "yes" : "no";
    const verify = ["systemd-analyze", "verify", `--man=${man}`, "--recursive-errors=yes"];
    const { stdout, stderr } = await host.run([...verify, "slotd@web.service", "slotd.slice"]);
    assert.equal(stdout + stderr, "");
    await host.run("systemctl enable slotd@web");
    assert.equal((await host.run("systemctl is-enabled slotd@web")).stdout, "enabled\n");
  });

  it("inside the unit's restrictions it deploys a version, and an upgrade of the package keeps its workers", async () => {
    const nats = await host.startNats();
    host.write("/etc/slotd/web.toml", configuration(nats));
    await host.run("systemctl enable --now slotd@web");
    mkdirSync(join(host.share, "app"));
    cpSync(join(repository, "examples/hello/server.mjs"), join(host.share, "app/server.mjs"));
    await host.run(
      "tar -czf /srv/share/1.tar.gz -C /srv/share/app . && slotd-controller publish web 1 /srv/share/1.tar.gz",
    );
    await host.run("slotd-controller install web 1 --slot a --host h1 --wait --timeout 20000");
    const pids = async () => {
      const { stdout } = await host.run("slotctl workers --json");
      const [worker] = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as { pid: number }[];
      return worker?.pid;
    };
    const before = { agent: await host.show("slotd@web", "MainPID"), worker: await pids() };
    assert.ok(before.worker);
    const owner = (await host.run(["stat", "-c", "%U %G %a", "/run/slotd/web.sock"])).stdout;
    assert.equal(owner, "root slotd 660\n");
    await dpkg("-i", "/srv/slotd-1.deb");
    await until("the new version's agent answers", async () => (await host.run("slotctl status")).stdout);
    assert.notEqual(await host.show("slotd@web", "MainPID"), before.agent);
    assert.equal(await pids(), before.worker, await host.journal("slotd@web"));
    assert.equal((await host.run("slotctl --version")).stdout.trim(), NEWER);
    const get = "fetch('http://127.0.0.1:8000/').then((a) => process.exit(a.ok ? 0 : 1))";
    await host.run([PACKAGED_NODE, "-e", get]);
  });

  const configuration = (nats: string) => `${webConfiguration({ command: "server.mjs", workers: 2 })}
nats = { servers = ["${nats}"] }
control = { group = "slotd" }
`;

  it("removal keeps the data, and purging removes it, without a question", async () => {
    const data = (await host.run("ls /var/lib/slotd/web")).stdout;
    assert.match(data, /releases/);
    await dpkg("--remove", "slotd");
    assert.equal((await host.run("pgrep -f server.mjs", { check: false })).code, 1, "the workers were stopped");
    assert.equal((await host.run("ls /var/lib/slotd/web")).stdout, data);
    assert.ok(await absent("/usr/bin/slotd"));
    assert.ok(await absent("/usr/lib/slotd"));
    await host.run("cat /etc/slotd/web.toml");
    await dpkg("-i", "/srv/slotd-1.deb");
    assert.equal((await host.run("systemctl is-enabled slotd@web")).stdout, "enabled\n");
    await dpkg("--purge", "slotd");
    for (const path of ["/var/lib/slotd", "/etc/slotd", "/var/log/slotd", "/run/slotd", "/usr/lib/slotd"])
      assert.ok(await absent(path), path);
    const links = "find /etc/systemd/system -name 'slotd@*' -type l";
    assert.equal((await host.run(links)).stdout, "");
    assert.equal((await host.run("dpkg-query -W slotd", { check: false })).code, 1);
  });
});
