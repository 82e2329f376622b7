import { execa, ExecaError } from "execa";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { GroundworkError, tail } from "../../errors.ts";

/** An OpenSSH key pair: `publicKey` is one line without its end, `privateKey` the whole file. */
export interface KeyPairFiles {
  publicKey: string;
  privateKey: string;
}

/** Makes a new ed25519 key pair. @throws GroundworkError `ssh-keygen-failed`. */
export async function runKeygen(comment: string): Promise<KeyPairFiles> {
  return inPrivateFolder(async (file) => {
    await sshKeygen(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", file]);
  });
}

/** The same key with another comment. @throws GroundworkError `ssh-keygen-failed`. */
export async function runRecomment(privateKey: string, comment: string): Promise<KeyPairFiles> {
  return inPrivateFolder(async (file) => {
    await fs.writeFile(file, privateKey, { mode: 0o600 });
    await sshKeygen(["-q", "-c", "-P", "", "-C", comment, "-f", file]);
  });
}

/** Lets `work` write a key pair at the given path, reads it, and removes every trace of it. */
async function inPrivateFolder(work: (file: string) => Promise<void>): Promise<KeyPairFiles> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "groundwork-key-")); // mode 0700
  try {
    const file = path.join(folder, "key");
    await work(file);
    return {
      publicKey: (await fs.readFile(`${file}.pub`, "utf8")).trim(),
      privateKey: await fs.readFile(file, "utf8"),
    };
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}

async function sshKeygen(args: string[]): Promise<void> {
  try {
    await execa("ssh-keygen", args, { stdin: "ignore" });
  } catch (error) {
    const missing = error instanceof ExecaError && error.code === "ENOENT";
    const reason = error instanceof Error ? error.message : String(error);
    throw new GroundworkError({
      code: "ssh-keygen-failed",
      message: `Cannot make an SSH key pair with ssh-keygen: ${missing ? "it is not installed" : tail(reason, 3)}.`,
      next: missing
        ? "Install the OpenSSH client (Debian: openssh-client) and run the same command again."
        : "Mend what ssh-keygen names, then run the same command again.",
      cause: error,
    });
  }
}
