import { isAbsolute } from "node:path";
import { z } from "zod";
import { defaultServer } from "./address.ts";
import { loginFaults } from "./login-rules.ts";

export const absolutePath = z.string().refine(isAbsolute, "must be an absolute path");

/** `[nats]` of a daemon's configuration: where the bus is, and who the daemon is there. */
export const natsConfigSchema = z
  .strictObject({
    servers: z.array(z.string().min(1)).min(1).default([defaultServer]),
    credentials_file: absolutePath.optional(),
    nkey_file: absolutePath.optional(),
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
    for (const { path, rule } of loginFaults(nats)) ctx.addIssue({ code: "custom", path, message: rule });
  });
export type NatsConfig = z.infer<typeof natsConfigSchema>;
