import type { EngineSource } from "./arguments.ts";
import { composeError } from "./errors.ts";

/** The key that signs Docker's packages, as https://docs.docker.com/engine/install/debian/ tells it. */
const dockerKey = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88";

const asRoot = [
  "set -euo pipefail",
  'root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n -- "$@"; fi; }',
  'apt() { root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" >&2; }',
  "command -v apt-get >/dev/null || { echo no-apt; exit 0; }",
].join("\n");

const distribution = [
  "apt update",
  // Debian 13 calls Compose V2 docker-compose and Ubuntu docker-compose-v2; in Debian 12 that is V1.
  "version() { apt-cache policy \"$1\" 2>/dev/null | sed -n 's/^ *Candidate: //p'; }",
  // What apt-get could not fetch it only warns of.
  'case $(version docker.io) in "" | "(none)") echo no-package; exit 0 ;; esac',
  "compose=",
  "for package in docker-compose-v2 docker-compose; do",
  '  case $(version "$package") in "" | "(none)" | 0* | 1.* | 1:1.*) ;; *) compose=$package; break ;; esac',
  "done",
  '[ -n "$compose" ] || { echo no-compose; exit 0; }',
  "client=",
  'case $(version docker-cli) in "" | "(none)") ;; *) client=docker-cli ;; esac',
  "apt install -y --no-install-recommends docker.io $client $compose",
].join("\n");

const vendor = [
  ". /etc/os-release",
  "case $ID in debian | ubuntu) ;; *) echo no-repository; exit 0 ;; esac",
  "apt update",
  "apt install -y --no-install-recommends ca-certificates curl gpg",
  "key=$(mktemp)",
  'curl -fsSL --proto =https "https://download.docker.com/linux/$ID/gpg" -o "$key"',
  `gpg --batch --show-keys --with-colons "$key" | grep -q '^fpr:*${dockerKey}:' || { echo wrong-key; exit 0; }`,
  "root install -m 0755 -d /etc/apt/keyrings",
  'root install -m 0644 "$key" /etc/apt/keyrings/docker.asc',
  'rm -f "$key"',
  'entry="deb [arch=$(dpkg --print-architecture) signed-by=/etc/apt/keyrings/docker.asc] https://download.docker.com/linux/$ID $VERSION_CODENAME stable"',
  "printf '%s\\n' \"$entry\" | root tee /etc/apt/sources.list.d/docker.list >/dev/null",
  "apt update",
  "apt install -y docker-ce docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin",
].join("\n");

const finish = [
  "if [ -d /run/systemd/system ]; then root systemctl enable --now docker >&2; fi",
  'if [ "$(id -u)" != 0 ]; then root usermod -aG docker "$(id -un)"; fi',
  "echo installed",
].join("\n");

/** Installs Docker's engine and Compose V2; prints `installed` or what stands in the way. */
export function renderInstall(engine: Exclude<EngineSource, "present">): string {
  return [asRoot, engine === "docker" ? vendor : distribution, finish].join("\n");
}

/** What stood in the way of an installation. */
export function installError(host: string, engine: EngineSource, said: string): Error {
  const start = `Cannot install Docker on ${host}`;
  switch (said) {
    case "no-apt":
      return composeError(
        "engine-not-installable",
        `${start}: it has no apt-get.`,
        "Install Docker's engine and Compose V2 there yourself.",
      );
    case "no-package":
      return composeError(
        "engine-not-installable",
        `${start}: apt-get there knows no package docker.io.`,
        "See that `apt-get update` reaches the mirrors there (on Ubuntu, universe among them); or put Docker's engine and Compose V2 into the machine's image.",
      );
    case "no-compose":
      return composeError(
        "compose-not-packaged",
        `${start}: its distribution has no package of Compose V2 (Debian has one from version 13 on).`,
        "Set `engine: docker`, which takes both from Docker's own repository.",
      );
    case "no-repository":
      return composeError(
        "engine-not-installable",
        `${start}: Docker's repository is used here for Debian and Ubuntu only.`,
        "Set `engine: distribution`, or install it yourself.",
      );
    case "wrong-key":
      return composeError(
        "wrong-repository-key",
        `${start}: the key that its repository shows is not ${dockerKey}.`,
        "Find out who answers in its place; nothing was installed.",
      );
    default:
      return composeError(
        "engine-missing",
        `${host} has no Docker engine with Compose V2 that answers${engine === "present" ? "" : " after the installation"}.`,
        engine === "present"
          ? "Install them there, or set `engine: distribution` or `engine: docker`."
          : "See `systemctl status docker` there, then run the same command again.",
      );
  }
}
