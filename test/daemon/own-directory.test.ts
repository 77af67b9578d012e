import assert from "node:assert/strict";
import { chmodSync, lchownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { checkOwnDirectory, requireOwnDirectory } from "../../daemon/own-directory.ts";

/** These tests are run as root, on a host with the users that every Debian has. */
const DAEMON = 1;

describe("a state directory", () => {
  let top = "";
  beforeEach(() => {
    top = mkdtempSync(join(tmpdir(), "slotd-own-"));
    mkdirSync(join(top, "above/state"), { recursive: true });
  });
  afterEach(() => rmSync(top, { recursive: true, force: true }));
  const at = (path: string) => join(top, path);
  const refused = (why: RegExp, path = at("above/state"), own?: { uid: number; gid: number }) =>
    assert.throws(() => requireOwnDirectory(path, own), {
      code: "CONFIG_INVALID",
      field: "state_directory",
      message: why,
    });

  it("of this user below directories of root is fine, also in a sticky one", () => {
    requireOwnDirectory(at("above/state"));
    chmodSync(at("above"), 0o1777);
    requireOwnDirectory(at("above/state"));
    lchownSync(at("above/state"), DAEMON, DAEMON);
    requireOwnDirectory(at("above/state"), { uid: DAEMON, gid: DAEMON });
  });

  it("is checked before it is there, and by root for the user to whom it belongs", () => {
    checkOwnDirectory(at("above/state"));
    checkOwnDirectory(at("above/not/there"));
    lchownSync(at("above/state"), DAEMON, DAEMON);
    checkOwnDirectory(at("above/state"));
    chmodSync(at("above"), 0o777);
    for (const path of ["above/state", "above/not/there"])
      assert.throws(() => checkOwnDirectory(at(path)), { message: /above can be written to by every user/ });
  });

  const cases: [what: string, change: () => void, why: RegExp][] = [
    ["of another user", () => lchownSync(at("above/state"), DAEMON, 0), /: it belongs to user 1, .*chown/],
    ["below one of another user", () => lchownSync(at("above"), DAEMON, 0), /above belongs to user 1, who/],
    ["that every user can write to", () => chmodSync(at("above/state"), 0o777), /: it can be written to by every user/],
    [
      "that every user can write to, although sticky",
      () => chmodSync(at("above/state"), 0o1777),
      /: it can be written/,
    ],
    ["below one that every user can write to", () => chmodSync(at("above"), 0o777), /above can be written to by every/],
    [
      "below one that a group can write to",
      () => {
        lchownSync(at("above"), 0, DAEMON);
        chmodSync(at("above"), 0o775);
      },
      /above can be written to by group 1,/,
    ],
  ];
  for (const [what, change, why] of cases)
    it(`${what} is refused`, () => {
      change();
      refused(why);
    });

  it("behind a link of another user, or in a directory where it can be replaced, is refused", () => {
    mkdirSync(at("theirs"));
    symlinkSync(at("above/state"), at("theirs/link"));
    requireOwnDirectory(at("theirs/link"));
    lchownSync(at("theirs/link"), DAEMON, DAEMON);
    refused(/: it belongs to user 1/, at("theirs/link"));
    lchownSync(at("theirs/link"), 0, 0);
    chmodSync(at("theirs"), 0o777);
    refused(/theirs can be written to by every user/, at("theirs/link"));
  });

  it("in a group of this user's own may be written to by that group; by another one it may not", () => {
    lchownSync(at("above/state"), DAEMON, DAEMON);
    chmodSync(at("above/state"), 0o775);
    requireOwnDirectory(at("above/state"), { uid: DAEMON, gid: DAEMON });
    refused(/by group 1/, at("above/state"), { uid: DAEMON, gid: 2 });
  });
});
