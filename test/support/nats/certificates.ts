import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Pair {
  cert: string;
  key: string;
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** A certificate authority of its own, in a directory that `remove` removes. Made by openssl. */
export class Authority {
  private readonly directory = mkdtempSync(join(tmpdir(), "slotd-ca-"));
  private readonly own: Pair;

  constructor() {
    this.own = this.pair("ca");
    const subject = ["-subj", "/CN=test authority", "-days", "2"];
    openssl(["req", "-x509", ...NEW_KEY, "-keyout", this.own.key, "-out", this.own.cert, ...subject]);
  }

  get cert(): string {
    return this.own.cert;
  }

  /** A certificate that it signed. @param name as openssl writes it: `IP:127.0.1.1`, `DNS:localhost` */
  issue(name: string): Pair {
    const pair = this.pair(name.replaceAll(/[^\w.]/g, "-"));
    const request = `${pair.key}.request`;
    const extensions = `${pair.key}.extensions`;
    writeFileSync(extensions, `subjectAltName=${name}\n`);
    openssl(["req", ...NEW_KEY, "-keyout", pair.key, "-out", request, "-subj", "/CN=test"]);
    const signer = ["-CA", this.own.cert, "-CAkey", this.own.key, "-CAcreateserial"];
    openssl(["x509", "-req", "-in", request, ...signer, "-out", pair.cert, "-days", "2", "-extfile", extensions]);
    return pair;
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  private pair(name: string): Pair {
    return { cert: join(this.directory, `${name}.crt`), key: join(this.directory, `${name}.key`) };
  }
}

function openssl(args: string[]): void {
  execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
}
