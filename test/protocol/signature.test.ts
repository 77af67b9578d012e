import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Release, releaseSchema } from "../../protocol/release.ts";
import { distrust, formatPublicKey, keyId, parsePublicKey, signRelease } from "../../protocol/signature.ts";

const keyPair = () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return { text: formatPublicKey(publicKey), privateKey };
};
const [own, next, other] = [keyPair(), keyPair(), keyPair()];
const hex = (digit: string) => digit.repeat(64);

/** A release with a delta, signed. */
function signed(by = own, over: Partial<Release> = {}): Release {
  const release = {
    version: "1.0",
    url: "file:///r.tgz",
    sha256: hex("a"),
    sizeBytes: 10,
    tree: hex("c"),
    deltas: [{ base: hex("e"), url: "file:///d.tgz", sha256: hex("b"), sizeBytes: 5 }],
    digests: [hex("a"), hex("b"), hex("d")],
  };
  return releaseSchema.parse({ ...release, signatures: [signRelease(release, by.privateKey)], ...over });
}

describe("a release is trusted", () => {
  it("when one of the trusted keys has signed it", () => {
    assert.equal(distrust(signed(), [own.text]), null);
    assert.equal(distrust(signed(), [next.text, own.text]), null);
  });

  it("during a rotation, by the old key, the new one, and both", () => {
    const both = { signatures: [...(signed(own).signatures ?? []), ...(signed(next).signatures ?? [])] };
    for (const trusted of [[own.text], [next.text], [own.text, next.text]]) {
      assert.equal(distrust(signed(own, both), trusted), null);
    }
  });

  it("wherever it is fetched from, and in whatever order its digests are", () => {
    assert.equal(distrust(signed(own, { url: "https://mirror/r", mirrors: ["file:///x"] }), [own.text]), null);
    assert.equal(distrust(signed(own, { digests: [hex("d"), hex("b"), hex("a")] }), [own.text]), null);
  });

  it("as another archive of the same tree that the signature covers, and without the delta", () => {
    assert.equal(distrust(signed(own, { sha256: hex("d") }), [own.text]), null);
    assert.equal(distrust(signed(own, { deltas: undefined }), [own.text]), null);
  });
});

describe("a release is not trusted", () => {
  const cases: Record<string, [release: Release, why: RegExp]> = {
    "without a signature": [signed(own, { signatures: undefined }), /not signed/],
    "with an empty list of signatures": [signed(own, { signatures: [] }), /not signed/],
    "without a tree": [signed(own, { tree: undefined, deltas: undefined }), /not signed/],
    "without digests": [signed(own, { digests: undefined }), /not signed/],
    "when another key signed it": [signed(other), new RegExp(`signed by ${keyId(other.text)}.*not trusted`)],
    "under another version": [signed(own, { version: "1.1" }), /not of this content/],
    "with another tree": [signed(own, { tree: hex("9") }), /not of this content/],
    "with another archive": [signed(own, { sha256: hex("9") }), /does not cover/],
    "with another archive that was added to its digests": [
      signed(own, { sha256: hex("9"), digests: [hex("a"), hex("b"), hex("d"), hex("9")] }),
      /not of this content/,
    ],
    "with one digest less": [signed(own, { digests: [hex("a"), hex("b")] }), /not of this content/],
    "with a delta that the signature does not cover": [
      signed(own, { deltas: [{ base: hex("e"), url: "file:///d", sha256: hex("9"), sizeBytes: 5 }] }),
      /does not cover/,
    ],
    "by another key's signature under the trusted key's name": [
      signed(own, {
        signatures: (signed(other).signatures ?? []).map((signature) => ({ ...signature, key: keyId(own.text) })),
      }),
      /not of this content/,
    ],
  };
  for (const [what, [release, why]] of Object.entries(cases)) {
    it(what, () => assert.match(distrust(release, [own.text]) ?? "trusted", why));
  }

  it("when no key is trusted at all", () => assert.match(distrust(signed(), []) ?? "trusted", /not trusted/));

  it("whichever bit of its signature is another one", () => {
    const [signature] = signed().signatures ?? [];
    const bytes = Buffer.from(signature?.value ?? "", "base64");
    fc.assert(
      fc.property(fc.nat(511), (bit) => {
        const flipped = Buffer.from(bytes);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const value = flipped.toString("base64");
        const release = signed(own, { signatures: [{ key: keyId(own.text), value }] });
        assert.match(distrust(release, [own.text]) ?? "trusted", /not of this content/);
      }),
    );
  });

  it("by any 32 bytes that stand for a key and any 64 that stand for a signature", () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    fc.assert(
      fc.property(bytes(32), bytes(64), (key, signature) => {
        const text = `ed25519:${Buffer.from(key).toString("base64")}`;
        const value = Buffer.from(signature).toString("base64");
        assert.notEqual(distrust(signed(own, { signatures: [{ key: keyId(text), value }] }), [text]), null);
      }),
    );
  });
});

describe("a public key's text", () => {
  it("is read back as the same key", () => {
    for (const { text } of [own, next, other]) {
      const key = parsePublicKey(text);
      assert.equal(key && formatPublicKey(key), text);
    }
  });

  it("is no key when it is anything else", () => {
    const bare = own.text.slice("ed25519:".length);
    const wrong = [
      "",
      bare,
      "ed25519:",
      `ed25519:${bare} `,
      `ed25519:${bare.slice(0, -1)}`,
      `ED25519:${bare}`,
      `rsa:${bare}`,
      `ed25519:${Buffer.alloc(31).toString("base64")}`,
      `ed25519:${Buffer.alloc(33).toString("base64")}`,
      `ed25519:${bare.replace(/[A-Za-z0-9]/, "!")}`,
      own.text.replace("=", ""),
    ];
    for (const text of wrong) assert.equal(parsePublicKey(text), null, text);
  });
});
