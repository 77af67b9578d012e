import { Haproxy } from "../support/proxies/haproxy.ts";
import { edgeRules } from "./real-proxy/with-edge.ts";

// With three places, four versions are too many.
edgeRules("HAProxy", () => Haproxy.start({ config: { places: 3 } }), { spoil: () => {}, fix: () => {} });
