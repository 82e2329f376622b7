import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { pins } from "./tools-pins.ts";
import type { ToolName } from "./tools-pins.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Where tools and built images are kept, outside every checkout: $GROUNDWORK_CACHE, else in the XDG cache folder. */
export function cacheRoot(env: Environment): string {
  const own = env["GROUNDWORK_CACHE"];
  if (own !== undefined && own !== "") return path.resolve(own);
  const xdg = env["XDG_CACHE_HOME"];
  const home = env["HOME"] ?? os.homedir();
  return path.join(xdg !== undefined && xdg !== "" ? xdg : path.join(home, ".cache"), "groundwork");
}

/** The PULUMI_HOME that everything here uses: the user's own when set, else a folder of the cache. */
export function pulumiHome(env: Environment): string {
  const own = env["PULUMI_HOME"];
  return own !== undefined && own !== "" ? path.resolve(own) : path.join(cacheRoot(env), "pulumi");
}

/** The `root` for `PulumiCommand.get`: the folder with `bin/pulumi`. */
export function pulumiRoot(env: Environment): string {
  return path.join(pulumiHome(env), "versions", pins.pulumi);
}

/** The file of each tool, at the path where Pulumi (or `minioBinary`) looks for it. */
export function toolPaths(env: Environment): Readonly<Record<ToolName, string>> {
  const home = pulumiHome(env);
  const beside = path.join(pulumiRoot(env), "bin");
  return {
    pulumi: path.join(beside, "pulumi"),
    "language-host": path.join(beside, "pulumi-language-nodejs"),
    "dynamic-launcher": path.join(beside, "pulumi-resource-pulumi-nodejs"),
    "terraform-bridge": path.join(
      home,
      "plugins",
      `resource-terraform-provider-v${pins.terraformBridge}`,
      "pulumi-resource-terraform-provider",
    ),
    "libvirt-provider": path.join(
      home,
      "dynamic_tf_plugins",
      `registry.opentofu.org/dmacvicar/libvirt/${pins.libvirtProvider}/linux_amd64`,
      `terraform-provider-libvirt_v${pins.libvirtProvider}`,
    ),
    "command-plugin": path.join(
      home,
      "plugins",
      `resource-command-v${pins.commandPlugin}`,
      "pulumi-resource-command",
    ),
    // Where the docker command looks for plugins when DOCKER_CONFIG names the cache's docker folder.
    compose: path.join(cacheRoot(env), "docker", "cli-plugins", "docker-compose"),
    loki: path.join(cacheRoot(env), "bin", `loki-${pins.loki}`),
    tempo: path.join(cacheRoot(env), "bin", `tempo-${pins.tempo}`),
    healthcheck: path.join(cacheRoot(env), "bin", `healthcheck-${pins.healthcheck}`),
    cadvisor: path.join(cacheRoot(env), "bin", `cadvisor-${pins.cadvisor}`),
    collector: path.join(cacheRoot(env), "bin", `otelcol-lab-${pins.collector}`),
    minio: path.join(cacheRoot(env), "bin", `minio-${pins.minioSource}`),
    k3s: path.join(cacheRoot(env), "bin", `k3s-${pins.k3s}`),
    "k3s-before": path.join(cacheRoot(env), "bin", `k3s-${pins.k3sBefore}`),
    "k3s-airgap": path.join(cacheRoot(env), "bin", `k3s-airgap-${pins.k3s}`),
    coredns: path.join(cacheRoot(env), "bin", `coredns-${pins.coredns}`),
  };
}

/** Where a downloaded MinIO lies; a built one lies at `toolPaths(env).minio`. */
export function downloadedMinio(env: Environment): string {
  return path.join(cacheRoot(env), "bin", `minio-${pins.minioRelease}`);
}

/** The files that may be MinIO's server, the preferred first: `minio` on PATH, then what set-up built or downloaded. */
export function minioCandidates(env: Environment): readonly string[] {
  const onPath = (env["PATH"] ?? "")
    .split(path.delimiter)
    .filter((folder) => path.isAbsolute(folder))
    .map((folder) => path.join(folder, "minio"));
  return [...onPath, toolPaths(env).minio, downloadedMinio(env)];
}

/** The MinIO server to start; `undefined` when this machine has none yet, which `scripts/setup` mends. */
export function minioBinary(env: Environment): string | undefined {
  return minioCandidates(env).find(isExecutable);
}

/** True for a file this process may execute. */
export function isExecutable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}
