import { findByToken } from "../../os/process.ts";

/** The variable that carries a slot's token. */
export const TOKEN_VARIABLE = "SLOTD_TOKEN";

/** The living processes that carry a slot's token, with the environment that each was started with. */
export function processesWithToken(token: string): ReturnType<typeof findByToken> {
  return findByToken(TOKEN_VARIABLE, token);
}
