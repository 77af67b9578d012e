import { isAbsolute } from "node:path";
import { z } from "zod";

export const absolutePath = z.string().refine(isAbsolute, "must be an absolute path");

/** `[nats]` of a daemon's configuration: where the bus is, and who the daemon is there. */
export const natsConfigSchema = z
  .strictObject({
    servers: z.array(z.string().min(1)).min(1).default(["nats://127.0.0.1:4222"]),
    /** A `.creds` file of an operator-mode account. */
    credentials_file: absolutePath.optional(),
    user: z.string().min(1).optional(),
    password_file: absolutePath.optional(),
    token_file: absolutePath.optional(),
    tls: z
      .strictObject({
        ca_file: absolutePath.optional(),
        cert_file: absolutePath.optional(),
        key_file: absolutePath.optional(),
      })
      .optional(),
    /** Copies of each bucket, where the daemon has to create it. */
    replicas: z.int().min(1).max(5).default(1),
  })
  .superRefine((nats, ctx) => {
    const refuse = (path: string[], message: string) => ctx.addIssue({ code: "custom", path, message });
    if (nats.user && !nats.password_file) refuse(["password_file"], "is required with nats.user");
    if (nats.password_file && !nats.user) refuse(["user"], "is required with nats.password_file");
    if (nats.tls?.cert_file && !nats.tls.key_file) refuse(["tls", "key_file"], "is required with cert_file");
    if (nats.tls?.key_file && !nats.tls.cert_file) refuse(["tls", "cert_file"], "is required with key_file");
    if (nats.credentials_file && (nats.user || nats.token_file))
      refuse(["credentials_file"], "must not be combined with user or token_file");
  });
export type NatsConfig = z.infer<typeof natsConfigSchema>;
