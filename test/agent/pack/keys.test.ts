import assert from "node:assert/strict";
import { appendFile, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { parsePackage } from "../../../protocol/package.ts";
import { keyId } from "../../../protocol/signature.ts";
import { scratch } from "../cli/support/scratch.ts";
import { slotctl } from "../cli/support/slotctl.ts";
import { failsWith, install, openStore } from "../releases/support/installing.ts";
import { fill, pack, releaseOf } from "./support.ts";

/** Runs a verb, asserts that it succeeds, and returns its JSON. */
async function ok(t: TestContext, ...args: string[]) {
  const ended = await slotctl(t, [...args, "--json"]);
  assert.equal(ended.exitCode, 0, ended.stderr);
  return JSON.parse(ended.stdout);
}

describe("keys and signatures", () => {
  it("keygen writes a private key that only its owner can read, prints the public key, and never overwrites either", async (t) => {
    const dir = await scratch(t);
    const file = join(dir, "release.key");
    const made = await slotctl(t, ["keygen", file]);
    assert.equal(made.exitCode, 0, made.stderr);
    const [publicKey = "", line] = made.stdout.split("\n");
    assert.match(publicKey, /^ed25519:[A-Za-z0-9+/]{43}=$/);
    assert.equal(line, `key ${keyId(publicKey)}`);
    assert.equal(await readFile(`${file}.pub`, "utf8"), `${publicKey}\n`);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const pem = await readFile(file, "utf8");
    assert.match(pem, /^-----BEGIN PRIVATE KEY-----\n/);

    const again = await slotctl(t, ["keygen", file]);
    assert.equal(again.exitCode, 2);
    assert.match(again.stderr, /already exists/);
    await rm(file);
    assert.equal((await slotctl(t, ["keygen", file])).exitCode, 2, "the public key is still there");
    assert.deepEqual(await readdir(dir), ["release.key.pub"]);
  });

  it("sign adds or replaces a key's signature, and an agent that trusts one of two keys installs the release", async (t) => {
    const dir = await scratch(t);
    const [old, fresh, stranger] = await Promise.all(
      ["old", "fresh", "stranger"].map(async (name) => ({ ...(await ok(t, "keygen", join(dir, name))) })),
    );
    const app = join(dir, "app");
    await fill(app, { a: "1" });
    const out = join(dir, "out");
    const one = await pack(t, [app, "--version", "1", "--to", out, "--sign", old.file]);
    await fill(app, { a: "2" });
    const packed = await pack(t, [app, "--version", "2", "--to", out, "--base", one.path]);
    assert.deepEqual(packed.description.signatures, []);
    const store = await openStore(dir, { trustedKeys: [old.publicKey, fresh.publicKey] });
    await install(store, releaseOf(one));
    await failsWith(install(store, releaseOf(packed)), "RELEASE_UNTRUSTED");

    const reread = async () => ({ ...packed, description: parsePackage(await readFile(packed.path, "utf8"), "it") });
    await ok(t, "sign", packed.path, "--key", stranger.file);
    await failsWith(install(store, releaseOf(await reread())), "RELEASE_UNTRUSTED");
    await ok(t, "sign", packed.path, "--key", fresh.file, "--key", old.file);
    const signed = await reread();
    assert.deepEqual(
      signed.description.signatures.map(({ key }) => key),
      [old.id, fresh.id, stranger.id].sort(),
    );
    assert.equal((await install(store, releaseOf(signed))).treeDigest, packed.description.tree);
    await ok(t, "sign", packed.path, "--key", fresh.file);
    assert.deepEqual((await reread()).description, signed.description);
    assert.deepEqual(
      (await readdir(out)).filter((name) => !name.startsWith("app-")),
      [],
    );
  });

  it("verify distinguishes an intact, trusted release from one with a changed byte, a missing file or a wrong signature", async (t) => {
    const dir = await scratch(t);
    const mine = await ok(t, "keygen", join(dir, "mine"));
    const other = await ok(t, "keygen", join(dir, "other"));
    const app = join(dir, "app");
    await fill(app, { a: "1" });
    const args = [app, "--version", "1", "--to", dir, "--format", "gz", "--format", "zst"];
    const { path } = await pack(t, [...args, "--sign", mine.file]);
    const verify = async (...more: string[]) => {
      const ended = await slotctl(t, ["verify", path, ...more, "--json"]);
      const { ok: whole, files, distrust } = JSON.parse(ended.stdout);
      assert.equal(ended.exitCode, whole ? 0 : 1);
      const wrong = files.filter(({ why }: { why: string | null }) => why !== null);
      return { whole, distrust, wrong: wrong.map(({ file, why }: { file: string; why: string }) => `${file} ${why}`) };
    };
    assert.deepEqual(await verify(), { whole: true, distrust: null, wrong: [] });
    assert.deepEqual(await verify("--trusted", other.publicKey, "--trusted", `${mine.file}.pub`), await verify());
    assert.match((await verify("--trusted", other.publicKey)).distrust, /not trusted/);

    const text = await readFile(path, "utf8");
    await writeFile(path, text.replace('"version": "1"', '"version": "2"'));
    const forged = await verify("--trusted", mine.publicKey);
    assert.match(forged.distrust, /not of this content/);
    assert.match(forged.wrong[0], /^app-1\.manifest\.json is of version 1/);
    await writeFile(path, text);

    await rm(join(dir, "app-1.tar.zst"));
    await appendFile(join(dir, "app-1.tar.gz"), "x");
    const { whole, wrong } = await verify("--trusted", mine.publicKey);
    assert.equal(whole, false);
    assert.match(wrong[0], /^app-1\.tar\.gz has \d+ bytes, not \d+$/);
    assert.equal(wrong[1], "app-1.tar.zst is missing");
  });

  it("an invalid description, manifest of a base, or key is refused with a code", async (t) => {
    const dir = await scratch(t);
    const app = join(dir, "app");
    await fill(app, { a: "1" });
    const { path } = await pack(t, [app, "--version", "1", "--to", dir]);
    const text = await readFile(path, "utf8");
    const bad = join(dir, "bad.release.json");
    for (const content of [
      "",
      "{}",
      text.replace("app-1.tar.gz", "../app-1.tar.gz"),
      text.replace('"format": 1', '"format": 2'),
    ]) {
      await writeFile(bad, content);
      const ended = await slotctl(t, ["verify", bad, "--json"]);
      assert.equal(ended.exitCode, 1);
      assert.equal(JSON.parse(ended.stdout).error.code, "PACKAGE_INVALID");
    }
    await writeFile(join(dir, "app-1.manifest.json"), "{}");
    const based = await slotctl(t, ["pack", app, "--version", "2", "--to", dir, "--base", path]);
    assert.match(based.stderr, /^error PACKAGE_INVALID: .*app-1\.manifest\.json: has 2 bytes/);
    const signed = await slotctl(t, ["sign", path, "--key", path]);
    assert.deepEqual([signed.exitCode, await readFile(path, "utf8")], [2, text]);
  });
});
