import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { ask } from "../edge/real-proxy/ask.ts";
import { SERVICES, type Service, TwoServices } from "../support/fleet/two-services.ts";
import { Load } from "../support/load/load.ts";
import { until } from "../support/until.ts";

for (const kind of ["haproxy", "varnish"] as const)
  describe(`examples/two-services with ${kind}`, () => {
    let two: TwoServices;
    let loads: Record<Service, Load[]>;
    before(async () => {
      two = await TwoServices.start(kind);
    });
    after(() => two.close());
    afterEach(() =>
      Promise.all(
        Object.values(loads ?? {})
          .flat()
          .map((load) => load.stop()),
      ),
    );

    const headers = (service: string) => ({ host: `${service}.example:80` });
    const asked = (service: string) => ask(two.url, { headers: headers(service) });
    /** Users of both services, on connections that they keep. */
    const begin = () => {
      const target = () => ({ host: two.address, port: two.port });
      const of = (service: Service) =>
        (["GET", "POST"] as const).map(
          (method) => new Load({ target, method, keepAlive: true, clients: 2, headers: headers(service) }),
        );
      loads = { shop: of("shop"), blog: of("blog") };
    };
    const untilAnsweredBy = async (service: Service, version: string) => {
      for (const load of loads[service]) {
        const before = load.versions.get(version) ?? 0;
        await until(`users get ${version}`, () => (load.versions.get(version) ?? 0) > before + 30);
      }
    };
    const assertServed = async (versions: Record<Service, readonly string[]>) => {
      for (const service of SERVICES)
        for (const load of loads[service]) {
          await load.stop();
          assert.deepEqual([load.failures, [...load.versions.keys()].sort()], [[], versions[service]]);
        }
    };

    it("both services are deployed, and answer by their host names", async () => {
      for (const service of SERVICES) {
        assert.equal((await asked(service)).status, 503);
        assert.match(await two.deploy(service, `${service}-1`), /1 edge acknowledged/);
      }
      for (const service of SERVICES) {
        const { status, named, body } = await asked(service);
        assert.deepEqual([status, named], [200, `${service}-1`], body);
        assert.match(body, new RegExp(`^hello from ${service}-1,`));
      }
      assert.equal((await asked("other")).status, 404);
    });

    it("deploys of one service under load on both fail no request of either", async () => {
      begin();
      for (const version of ["shop-2", "shop-3"]) {
        await two.deploy("shop", version);
        await untilAnsweredBy("shop", version);
        await untilAnsweredBy("blog", "blog-1");
      }
      await assertServed({ shop: ["shop-1", "shop-2", "shop-3"], blog: ["blog-1"] });
    });

    it("without the edge of one service the other is deployed, and both are served", async () => {
      await two.killEdge("shop");
      begin();
      await two.deploy("blog", "blog-2");
      await untilAnsweredBy("blog", "blog-2");
      await untilAnsweredBy("shop", "shop-3");
      await assertServed({ shop: ["shop-3"], blog: ["blog-1", "blog-2"] });
    });

    it("the proxy starts again without the edge of one service, and both are served", async () => {
      if (kind === "haproxy") begin();
      await two.restartProxy();
      if (kind === "varnish") begin();
      await untilAnsweredBy("blog", "blog-2");
      await untilAnsweredBy("shop", "shop-3");
      await assertServed({ shop: ["shop-3"], blog: ["blog-2"] });
    });

    it("an edge that comes back takes part in the next deploy", async () => {
      await two.startEdge("shop");
      begin();
      await two.deploy("shop", "shop-4");
      await untilAnsweredBy("shop", "shop-4");
      await untilAnsweredBy("blog", "blog-2");
      await assertServed({ shop: ["shop-3", "shop-4"], blog: ["blog-2"] });
    });
  });
