import assert from "node:assert/strict";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { repository } from "../support/release.ts";
import { bootSystemd, type SystemdHost } from "../support/systemd/host.ts";
import { buildPackage } from "../support/systemd/package.ts";
import { PACKAGED_NODE, webConfiguration } from "../support/systemd/slotd.ts";
import { until } from "../support/until.ts";

/**
 * The packaged slotd-edge under its unit, on a host with an agent that serves: each test goes on where the one before
 * it ended.
 */

const UNIT = "slotd-edge@web";
const STATE = "/var/lib/slotd-edge/web";

let host: SystemdHost;
let nats: string;

describe("the packaged slotd-edge under systemd", () => {
  before(async () => {
    const deb = await buildPackage();
    host = await bootSystemd();
    host.copyIn(deb, "/srv/slotd.deb");
    await host.run("dpkg -i /srv/slotd.deb");
    nats = await host.startNats();
    host.write("/etc/slotd/web.toml", agent(nats));
    host.write("/etc/slotd-edge/web.toml", edge(nats, 'kind = "builtin", port = 8080'));
    await host.run("systemctl enable --now slotd@web slotd-edge@web");
    mkdirSync(join(host.share, "app"));
    cpSync(join(repository, "examples/hello/server.mjs"), join(host.share, "app/server.mjs"));
    await host.run("tar -czf /srv/share/app.tar.gz -C /srv/share/app .");
    for (const version of ["1", "2"]) await host.run(`slotd-controller publish web ${version} /srv/share/app.tar.gz`);
  });

  after(() => host?.close());

  const agent = (url: string) =>
    `${webConfiguration({ command: "server.mjs", workers: 2 })}nats = { servers = ["${url}"] }\n`;

  function edge(url: string, proxy: string): string {
    return `service = "web"\nedge = "e1"\nproxy = { ${proxy} }\nnetworks = ["127.0.0.0/8"]\nnats = { servers = ["${url}"] }\n`;
  }

  const deploy = (version: string) =>
    host.run(["slotd-controller", "deploy", "web", version, "--barrier-timeout", "20000"]);
  /** The version that a request without a name gets; null where nobody answers it. */
  const served = async (port = 8080) => {
    const ask = `fetch('http://127.0.0.1:${port}/').then((a) => console.log(a.ok ? a.headers.get('x-app-version') : ''))`;
    const { stdout } = await host.run([PACKAGED_NODE, "-e", ask], { check: false });
    return stdout.trim() || null;
  };
  const pid = () => host.show(UNIT, "MainPID");
  const restarted = (before: string) =>
    until("another one runs", async () => {
      const [state, now] = [await host.show(UNIT, "ActiveState"), await pid()];
      return state === "active" && now !== before && now !== "0";
    });

  it("systemd finds no fault with its unit, and its sample configuration is good", async () => {
    const man = (await host.run("command -v man", { check: false })).code === 0 ? "yes" : "no";
    const verify = ["systemd-analyze", "verify", `--man=${man}`, "--recursive-errors=yes", "slotd-edge@web.service"];
    const { stdout, stderr } = await host.run(verify);
    assert.equal(stdout + stderr, "");
    const sample = await host.run("slotd-edge --config /usr/share/doc/slotd/examples/edge.toml --check-config");
    assert.match(sample.stdout, /good \(service web, .*proxy haproxy\)/);
  });

  it("a deploy waits for it, and it routes to what was deployed", async () => {
    await deploy("1");
    assert.equal(await served(), "1", await host.journal(UNIT));
    assert.match((await host.run("slotd-controller edges web")).stdout, /\be1\b.*\bbuiltin\b/);
  });

  it("it has a user of its own without a capability, and writes to its state directory only", async () => {
    const process = await pid();
    const status = (await host.run(["cat", `/proc/${process}/status`])).stdout;
    const uid = (await host.run("id -u slotd-edge")).stdout.trim();
    const line = (name: string) => new RegExp(`^${name}:\\s+(\\S+)`, "m").exec(status)?.[1];
    assert.deepEqual([line("Uid"), line("CapEff"), line("CapBnd")], [uid, "0".repeat(16), "0".repeat(16)]);
    assert.deepEqual([line("NoNewPrivs"), line("Seccomp")], ["1", "2"]);
    const touch = (path: string) => host.run(["nsenter", "-t", process, "-m", "touch", path], { check: false });
    for (const path of ["/etc/x", "/usr/x", "/var/x", "/var/lib/x", "/var/lib/slotd/x"])
      assert.match((await touch(path)).stderr, /Read-only file system/, path);
    assert.equal((await touch(`${STATE}/x`)).code, 0);
    await host.run(["rm", `${STATE}/x`]);
  });

  it("its state directory is its own, and what is in it is readable for nobody else", async () => {
    const { stdout } = await host.run(["stat", "-c", "%U:%G %a", STATE, `${STATE}/last-good.json`]);
    assert.equal(stdout, "slotd-edge:slotd-edge 755\nslotd-edge:slotd-edge 600\n");
  });

  it("with the bus away it goes on over a restart, and over a kill", async () => {
    await host.run("systemctl kill --signal=STOP nats");
    const first = await pid();
    await host.restartUnit(UNIT);
    await until("it routes again", async () => (await served()) === "1");
    const second = await pid();
    assert.notEqual(second, first);
    await host.run(["kill", "-KILL", second]);
    await restarted(second);
    await until("it routes again", async () => (await served()) === "1");
    await host.run("systemctl kill --signal=CONT nats");
  });

  it("a configuration with a mistake is said once, and not tried again", async () => {
    const good = host.read("/etc/slotd-edge/web.toml");
    host.write("/etc/slotd-edge/web.toml", `${good}stagee = 1\n`);
    await host.run(["systemctl", "restart", UNIT], { check: false });
    await host.untilUnit(UNIT, "failed");
    assert.match(await host.journal(UNIT), /CONFIG_INVALID: configuration: stagee /);
    assert.equal(await host.show(UNIT, "NRestarts"), "0");
    host.write("/etc/slotd-edge/web.toml", good);
    await host.startUnit(UNIT);
  });

  it("it steers a HAProxy under the unit of its own package, and that one stays when it ends", async () => {
    const directory = `${STATE}/haproxy`;
    const proxy = `kind = "haproxy", socket = "/run/haproxy/slotd.sock", socket_group = "slotd-edge", directory = "${directory}"`;
    host.write("/etc/slotd-edge/web.toml", edge(nats, `${proxy}, bind = ["127.0.0.1:8081"]`));
    host.write("/etc/haproxy/haproxy.cfg", "global\n  user haproxy\n  group haproxy\n  chroot /var/lib/haproxy\n");
    host.write("/etc/default/haproxy", 'EXTRAOPTS="-S /run/haproxy-master.sock -f /etc/haproxy/slotd"\n');
    await host.run(
      "install -d /var/lib/haproxy/dev /etc/haproxy/slotd && install -d -o haproxy -g haproxy /run/haproxy",
    );
    await host.run("slotd-edge --config /etc/slotd-edge/web.toml --render-base >/etc/haproxy/slotd/web.cfg");
    await host.startUnit("haproxy");
    await host.restartUnit(UNIT);
    await until("HAProxy routes", async () => (await served(8081)) === "1");
    await deploy("2");
    assert.equal(await served(8081), "2", await host.journal(UNIT));
    const owners = (await host.run(`find ${directory} -printf '%u\n' | sort -u`)).stdout;
    assert.equal(owners, "slotd-edge\n");
    await host.stopUnit(UNIT);
    assert.equal(await host.show(UNIT, "Result"), "success");
    assert.equal(await served(8081), "2");
    await host.restartUnit("haproxy");
    assert.equal(await served(8081), "2");
  });

  it("a second service shares that HAProxy, under units of the same templates", async () => {
    const at = (site: string) => host.run(["curl", "-si", "-H", `Host: ${site}.example`, "http://127.0.0.1:8083/"]);
    const version = async (site: string) => /^x-app-version: (.*?)\r?$/im.exec((await at(site)).stdout)?.[1];
    const slots = "slots = { a = { port = 8100 }, b = { port = 8101 } }\n";
    const ofBlog = (text: string) => text.replace('service = "web"', 'service = "blog"');
    host.write("/etc/slotd/blog.toml", ofBlog(agent(nats)) + slots);
    const use = ["web", "blog"].map((name) => `  use_backend slotd.${name} if { req.hdr(host) ${name}.example }\n`);
    const defaults = "defaults\n  mode http\n  timeout connect 1s\n  timeout client 9s\n  timeout server 9s\n";
    const frontend = `frontend www\n  bind 127.0.0.1:8083\n${use.join("")}`;
    host.write("/etc/haproxy/haproxy.cfg", host.read("/etc/haproxy/haproxy.cfg") + defaults + frontend);
    for (const name of ["web", "blog"]) {
      const files = `socket = "/run/haproxy/slotd-${name}.sock", directory = "/var/lib/slotd-edge/${name}/haproxy"`;
      const proxy = `kind = "haproxy", shared = true, socket_group = "slotd-edge", ${files}`;
      const text = edge(nats, proxy);
      host.write(`/etc/slotd-edge/${name}.toml`, name === "web" ? text : ofBlog(text));
      await host.run(`slotd-edge --config /etc/slotd-edge/${name}.toml --render-base >/etc/haproxy/slotd/${name}.cfg`);
    }
    await host.restartUnit("haproxy");
    assert.equal(await version("web"), "2", "before its edge has started");
    for (const unit of ["slotd@blog", UNIT, "slotd-edge@blog"]) await host.restartUnit(unit);
    await host.run("slotd-controller publish blog 7 /srv/share/app.tar.gz");
    await until("blog's edge is on the bus", async () =>
      (await host.run("slotd-controller edges blog")).stdout.includes("e1"),
    );
    await host.run("slotd-controller deploy blog 7 --barrier-timeout 20000");
    assert.deepEqual([await version("web"), await version("blog")], ["2", "7"]);
    assert.match((await host.run("slotctl --service blog status")).stdout, /serving +7 +8100/);
    await deploy("1");
    await host.stopUnit("slotd-edge@blog");
    assert.deepEqual([await version("web"), await version("blog")], ["1", "7"]);
    await deploy("2");
    await host.stopUnit("slotd@blog");
    assert.equal(await version("web"), "2");
    await host.stopUnit(UNIT);
    await host.run("rm /etc/slotd/blog.toml /etc/slotd-edge/blog.toml /etc/haproxy/slotd/blog.cfg");
  });

  it("it steers a Varnish under the unit of its own package, with a copy of its secret", async () => {
    const directory = `${STATE}/varnish`;
    const secret = "/run/credentials/slotd-edge@web.service/varnish";
    const proxy = `kind = "varnish", secret_file = "${secret}", directory = "${directory}"`;
    host.write("/etc/slotd-edge/web.toml", edge(nats, proxy));
    host.write("/etc/varnish/secret", "not to be known\n", 0o600);
    const varnishd =
      `/usr/sbin/varnishd -j unix,user=vcache -F -a 127.0.0.1:8082 -T 127.0.0.1:6082 -S /etc/varnish/secret -s malloc,32m ` +
      `-f ${directory}/current.vcl -p backend_idle_timeout=4 -p cc_command='exec cc -O0 -w -pthread -fpic -shared -Wl,-x -o %%o %%s'`;
    host.write("/etc/systemd/system/varnish.service.d/slotd.conf", `[Service]\nExecStart=\nExecStart=${varnishd}\n`);
    host.write(
      "/etc/systemd/system/slotd-edge@web.service.d/varnish.conf",
      "[Service]\nLoadCredential=varnish:/etc/varnish/secret\n",
    );
    await host.run("systemctl daemon-reload && install -d /var/lib/varnish");
    await host.run("slotd-edge --config /etc/slotd-edge/web.toml --render-base");
    await host.startUnit("varnish");
    await host.startUnit(UNIT);
    await until("Varnish routes", async () => (await served(8082)) === "2");
    await deploy("1");
    assert.equal(await served(8082), "1", await host.journal(UNIT));
    await host.stopUnit(UNIT);
    assert.equal(await served(8082), "1");
    await host.stopUnit("varnish");
  });

  it("removal of the package ends it and keeps its data, and purging removes that", async () => {
    await host.startUnit(UNIT);
    await host.run("dpkg --remove slotd");
    assert.equal((await host.run("pgrep -f slotd-edge.js", { check: false })).code, 1);
    await host.run(["cat", `${STATE}/last-good.json`, "/etc/slotd-edge/web.toml"]);
    await host.run("dpkg --purge slotd");
    for (const path of ["/etc/slotd-edge", "/var/lib/slotd-edge"])
      assert.equal((await host.run(["test", "-e", path], { check: false })).code, 1, path);
    assert.equal((await host.run("find /etc/systemd/system -name 'slotd-edge@*' -type l")).stdout, "");
  });
});
