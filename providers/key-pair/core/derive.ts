import { createPrivateKey, createPublicKey, hkdfSync } from "node:crypto";

/** Lines of OpenSSH's private key files. */
const lineLength = 70;

/** RFC 8410: what comes before the 32 bytes of an ed25519 private key. */
const pkcs8Header = Buffer.from("302e020100300506032b657004220420", "hex");

/** Strings as SSH has them: four bytes of length, then the bytes. */
function words(...parts: (string | Buffer)[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const bytes = Buffer.from(part);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

/**
 * The ed25519 key pair that follows from a secret and from what it is for, by HKDF-SHA-256: the same from
 * the same. ssh-keygen draws its keys by lot and takes none from elsewhere, so the file is written here, as
 * OpenSSH's PROTOCOL.key describes it.
 *
 * @returns `publicKey` as one line without its end, `privateKey` as the whole file.
 */
export function deriveKeyPair(
  secret: string,
  purpose: string,
  comment: string,
): { publicKey: string; privateKey: string } {
  const seed = Buffer.from(hkdfSync("sha256", secret, "groundwork", purpose, 32));
  const key = createPrivateKey({
    ...{ key: Buffer.concat([pkcs8Header, seed]), format: "der", type: "pkcs8" },
  });
  const point = createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32);
  const blob = words("ssh-ed25519", point);
  const check = Buffer.from(hkdfSync("sha256", secret, "groundwork", `${purpose} check`, 4));
  const open = Buffer.concat([check, check, blob, words(Buffer.concat([seed, point]), comment)]);
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7].slice(0, (8 - (open.length % 8)) % 8));
  const one = Buffer.from([0, 0, 0, 1]);
  const whole = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    words("none", "none", ""),
    one,
    words(blob, Buffer.concat([open, padding])),
  ]);
  const lines = whole.toString("base64").match(new RegExp(`.{1,${String(lineLength)}}`, "g")) ?? [];
  return {
    publicKey: `ssh-ed25519 ${blob.toString("base64")} ${comment}`.trimEnd(),
    privateKey: [
      "-----BEGIN OPENSSH PRIVATE KEY-----",
      ...lines,
      "-----END OPENSSH PRIVATE KEY-----",
      "",
    ].join("\n"),
  };
}
