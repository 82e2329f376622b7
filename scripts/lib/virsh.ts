import { execa } from "execa";
import { GroundworkError, tail } from "../../providers/errors.ts";

/** Runs one virsh command; the default URI is that of the environment, as libvirt has it. */
export async function runVirsh(uri: string | undefined, args: readonly string[]): Promise<string> {
  const target = uri ?? process.env["LIBVIRT_DEFAULT_URI"] ?? "qemu:///system";
  const result = await execa("virsh", ["--quiet", "--connect", target, ...args], {
    stdin: "ignore",
    reject: false,
    timeout: 60_000,
    env: { LC_ALL: "C.UTF-8" },
  });
  if (result.exitCode === 0) return result.stdout;
  throw new GroundworkError({
    code: "libvirt-failed",
    message: `\`virsh ${args.join(" ")}\` failed on ${target}: ${tail(result.stderr === "" ? (result.shortMessage ?? "") : result.stderr, 2)}.`,
    next: "See that libvirt answers there, then run the same command again.",
  });
}

/** Has a machine's guest give back the blocks that it does not use, where its agent answers; says what came of it. */
export async function trimMachine(uri: string, name: string): Promise<string> {
  try {
    await runVirsh(uri, ["domfstrim", name]);
    return "the guest has given back what it does not use";
  } catch {
    return "its guest agent does not answer, so nothing is given back first";
  }
}
