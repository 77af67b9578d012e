import type { Deploy, HostProgress } from "../../../protocol/deploy.ts";

const USUAL_MAX_PAYLOAD = 1024 * 1024;
/** Room for the rest of the message around the value. */
const ROOM = 4096;
const SHORT = 80;

/**
 * The record in a size that the server accepts: the messages of failures are shortened, then left out. Codes stay.
 * 5,000 hosts with names of 40 characters take 600 kB.
 */
export function boundedRecord(deploy: Deploy, maxPayload: number = USUAL_MAX_PAYLOAD): Deploy {
  const fits = (candidate: Deploy) => Buffer.byteLength(JSON.stringify(candidate)) + ROOM <= maxPayload;
  if (deploy.deploy === null || fits(deploy)) return deploy;
  const short = withMessages(deploy, (message) => message.slice(0, SHORT));
  return fits(short) ? short : withMessages(deploy, () => "");
}

function withMessages(deploy: Deploy, change: (message: string) => string): Deploy {
  if (deploy.deploy === null) return deploy;
  const shorten = ({ error, ...rest }: HostProgress): HostProgress =>
    error === undefined ? rest : { ...rest, error: { code: error.code, message: change(error.message) } };
  const hosts = Object.fromEntries(Object.entries(deploy.deploy.hosts).map(([host, it]) => [host, shorten(it)]));
  return { ...deploy, deploy: { ...deploy.deploy, hosts } };
}
