/** For programs that import nothing of daemon/. */
export { programVersion } from "../daemon/version.ts";
