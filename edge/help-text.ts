/** What `slotd-edge --help` prints after the options. */
export const helpText = `
Signals:
  SIGTERM, SIGINT  stop; Varnish and HAProxy keep routing by their last table
  SIGUSR1          accept the loss of endpoints that are held back

Exit codes:
  0 stopped by a signal   1 failed   2 wrong configuration or usage
  3 another process uses the port or the state directory

Examples:
  slotd-edge --config /etc/slotd-edge/web.toml --check-config
  slotd-edge --config edge.toml --pretty
  systemctl kill --signal=SIGUSR1 slotd-edge@web

HAProxy's base configuration goes into a directory of its own, with a file for
each service. Debian's haproxy.cfg stays as it is:
  slotd-edge --config /etc/slotd-edge/web.toml --render-base > /etc/haproxy/slotd/web.cfg
  haproxy -c -f /etc/haproxy/haproxy.cfg -f /etc/haproxy/slotd
  Then add -f /etc/haproxy/slotd to EXTRAOPTS in /etc/default/haproxy, and restart haproxy.

Several services behind one HAProxy or one varnishd: shared = true in [proxy], see
docs/several-services.md.
`;
