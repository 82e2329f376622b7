import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { toolPaths } from "../../scripts/lib/tools-paths.ts";

/** `undefined` when the need is met, else what is missing, as it reads after "needs <name>: ". */
type Probe = () => string | undefined;

/** Folders in which daemons lie that an ordinary user's PATH leaves out. */
const systemFolders = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/** True when the command could be run and exited with 0. */
function succeeds(file: string, args: readonly string[]): boolean {
  const searched = [process.env["PATH"] ?? "", ...systemFolders].join(path.delimiter);
  const result = spawnSync(file, args, {
    stdio: "ignore",
    timeout: 20_000,
    env: { ...process.env, PATH: searched },
  });
  return result.status === 0;
}

const command =
  (file: string, ...args: string[]): Probe =>
  () =>
    succeeds(file, args) ? undefined : `\`${[file, ...args].join(" ")}\` does not succeed`;

const present =
  (file: string): Probe =>
  () =>
    fs.existsSync(file) ? undefined : `${file} is missing`;

const all =
  (...probes: Probe[]): Probe =>
  () =>
    probes.map((probe) => probe()).find((missing) => missing !== undefined);

const asRoot: Probe = () => (process.getuid?.() === 0 ? undefined : "the tests do not run as root");

/** Where set-up keeps tools and built images, outside the checkout. */
export function cacheFolder(): string {
  const xdg = process.env["XDG_CACHE_HOME"] ?? path.join(os.homedir(), ".cache");
  return process.env["GROUNDWORK_CACHE"] ?? path.join(xdg, "groundwork");
}

function filesIn(folder: string, wanted: RegExp): string[] {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder)
    .filter((name) => wanted.test(name))
    .map((name) => path.join(folder, name));
}

const minio: Probe = () => {
  const built = filesIn(path.join(cacheFolder(), "bin"), /^minio-/);
  return [...built, "minio"].some((file) => succeeds(file, ["--version"]))
    ? undefined
    : "there is no `minio` on PATH and none that set-up built";
};

const pulumi: Probe = () => {
  const home = process.env["PULUMI_HOME"] ?? path.join(cacheFolder(), "pulumi");
  const versions = filesIn(path.join(home, "versions"), /^\d/);
  return versions.some((folder) => succeeds(path.join(folder, "bin", "pulumi"), ["version"]))
    ? undefined
    : `no Pulumi CLI runs below ${home}/versions; \`make setup\` installs it`;
};

const collector: Probe = () => {
  const file = toolPaths(process.env).collector;
  return succeeds(file, ["--version"])
    ? undefined
    : `${file} does not run; \`scripts/setup --tests\` builds it`;
};

/** Where Compose V2 is: what set-up built, or what Docker's own folders have. */
export function composePlugin(): string | undefined {
  return [
    path.join(cacheFolder(), "docker/cli-plugins"),
    path.join(os.homedir(), ".docker/cli-plugins"),
    "/usr/libexec/docker/cli-plugins",
    "/usr/local/lib/docker/cli-plugins",
  ]
    .map((folder) => path.join(folder, "docker-compose"))
    .find((file) => succeeds(file, ["version"]));
}

const compose: Probe = () =>
  composePlugin() === undefined
    ? "no Compose V2 runs; `scripts/setup --tests` builds it"
    : undefined;

/** The engine is started by the test; containers need what only root has. */
const docker: Probe = () => {
  const { compose, loki, tempo, cadvisor } = toolPaths(process.env);
  for (const [file, ...args] of [
    ["dockerd", "--version"],
    ["docker", "--version"],
    [compose, "version"],
    [loki, "-version"],
    [tempo, "-version"],
    [cadvisor, "--version"],
  ] as const)
    if (!succeeds(file, args))
      return `\`${[file, ...args].join(" ")}\` does not succeed; \`scripts/setup --tests\` installs it`;
  return asRoot();
};

const k3s: Probe = () => {
  const { k3s: file, "k3s-before": before, "k3s-airgap": airgap, coredns } = toolPaths(process.env);
  const built = succeeds(file, ["--version"]) && succeeds(before, ["--version"]);
  if (!built || ![airgap, coredns].every((each) => fs.existsSync(each)))
    return `${file} does not run; \`scripts/setup --k3s\` builds it`;
  return undefined;
};

const image: Probe = () =>
  filesIn(path.join(cacheFolder(), "images"), /\.qcow2$/).length > 0
    ? undefined
    : `no base image is in ${path.join(cacheFolder(), "images")}; \`make up\` builds it`;

/** Every need a test can name, each with a cheap probe that really tries the thing. */
const probes = {
  root: asRoot,
  loop: all(asRoot, command("losetup", "--find")),
  lvm: all(asRoot, command("lvm", "version"), command("lvs", "--driverloaded", "n")),
  deviceMapper: all(asRoot, command("dmsetup", "version")),
  netns: all(asRoot, command("unshare", "--net", "true"), command("ip", "netns", "list")),
  mountns: all(asRoot, command("unshare", "--mount", "--propagation", "private", "true")),
  qemu: all(command("qemu-system-x86_64", "--version"), command("qemu-img", "--version")),
  ovmf: present("/usr/share/OVMF/OVMF_CODE_4M.fd"),
  libvirt: all(
    command("libvirtd", "--version"),
    command("virtlogd", "--version"),
    command("virsh", "--version"),
  ),
  minio,
  sshd: all(present("/usr/sbin/sshd"), command("ssh", "-V")),
  netcat: command("sh", "-c", "command -v nc"),
  mkisofs: command(
    "sh",
    "-c",
    "command -v genisoimage || command -v mkisofs || command -v xorriso",
  ),
  gdisk: all(command("sgdisk", "--version"), command("mke2fs", "-V")),
  mmdebstrap: command("mmdebstrap", "--version"),
  systemd: all(asRoot, present("/lib/systemd/systemd")),
  containerd: command("containerd", "--version"),
  "systemd-analyze": command("systemd-analyze", "--version"),
  shellcheck: command("shellcheck", "--version"),
  xsltproc: command("xsltproc", "--version"),
  pyyaml: command("python3", "-c", "import yaml"),
  curl: command("curl", "--version"),
  openssl: command("openssl", "version"),
  go: command("go", "version"),
  cargo: command("cargo", "--version"),
  dockerd: all(asRoot, command("dockerd", "--version"), command("docker", "--version")),
  compose,
  busybox: present("/bin/busybox"),
  pulumi,
  collector,
  docker,
  chromium: command("chromium", "--version"),
  pip: command("python3", "-m", "pip", "--version"),
  k3s,
  image,
} satisfies Record<string, Probe>;

/** The name of something that a test needs of the machine it runs on. */
export type Need = keyof typeof probes;

const answers = new Map<Need, string | undefined>();

/** What is missing of a need, or `undefined` when it is met. Each need is probed once per process. */
export function missingNeed(need: Need): string | undefined {
  if (!answers.has(need)) answers.set(need, probes[need]());
  return answers.get(need);
}

/** True where a missing need is a failure and not a skip. */
export function mustRunEverything(env: NodeJS.ProcessEnv = process.env): boolean {
  return env["CI"] !== undefined && !["", "0", "false"].includes(env["CI"]);
}

/**
 * Call first in a `before` hook or test, with mocha's `this`: skips visibly when the machine lacks
 * one of the needs, and throws instead where CI is set.
 */
export function requireNeeds(context: Mocha.Context, needs: readonly Need[]): void {
  const missing = needs.flatMap((need) => {
    const reason = missingNeed(need);
    return reason === undefined ? [] : [`needs ${need}: ${reason}`];
  });
  if (missing.length === 0) return;
  const said = missing.join("; ");
  if (mustRunEverything()) throw new Error(`This machine cannot run the test: it ${said}.`);
  const titles = context.test?.titlePath().join(" › ") ?? "test";
  process.stderr.write(`    skipped: ${titles}: ${said}\n`);
  context.skip();
}
