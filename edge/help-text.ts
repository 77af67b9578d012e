/** What `slotd-edge --help` says after its options. */
export const helpText = `
Signals:
  SIGTERM, SIGINT  end; the proxy goes on with its table
  SIGUSR1          let go of endpoints that are held back

Exit codes:
  0 ended as told   1 failed   2 configuration or usage   3 the port, or the state directory, is another's

Examples:
  slotd-edge --config /etc/slotd-edge/web.toml --check-config
  slotd-edge --config /etc/slotd-edge/web.toml --render-base > /etc/haproxy/haproxy.cfg
  slotd-edge --config edge.toml --pretty
  systemctl kill --signal=SIGUSR1 slotd-edge@web
`;
