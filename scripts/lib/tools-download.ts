import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { pipeline } from "node:stream/promises";
import { GroundworkError } from "../../providers/errors.ts";
import { downloadedMinio, isExecutable, pulumiHome, toolPaths } from "./tools-paths.ts";
import { pins, tools } from "./tools-pins.ts";
import type { ToolName } from "./tools-pins.ts";
import type { ToolSource } from "./tools-plan.ts";
import type { RunCommand } from "./tools-run.ts";
import { replaceFile, writeStamp } from "./tools-state.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What is asked for to find out whether this machine reaches the vendor. */
export const pulumiDownload = `https://get.pulumi.com/releases/sdk/pulumi-v${pins.pulumi}-linux-x64.tar.gz`;

const buildInstead =
  "Set GROUNDWORK_TOOLS=build to build it instead (Go is needed), and run scripts/setup again.";

const minioDownloads = "https://dl.min.io/server/minio/release/linux-amd64/archive";

/** Tries the vendor's download of the CLI, by its head alone and for at most `seconds`. */
export async function probeSource(run: RunCommand, seconds = 8): Promise<ToolSource> {
  try {
    const limit = String(seconds);
    await run("curl", ["-fsSIL", "-o", "/dev/null", "--max-time", limit, pulumiDownload]);
    return "vendor";
  } catch {
    return "registries";
  }
}

/**
 * Downloads a tool as its vendor offers it, to where it is looked for.
 * @throws GroundworkError `download-failed`, `wrong-checksum`, `tool-not-installed`
 */
export async function downloadTool(
  env: Environment,
  tool: ToolName,
  run: RunCommand,
): Promise<void> {
  try {
    await fetchTool(env, tool, run);
  } catch (cause) {
    if (!(cause instanceof GroundworkError && cause.code === "tool-command")) throw cause;
    throw new GroundworkError({
      code: "download-failed",
      message: `${tools[tool].title} could not be downloaded: ${cause.message}`,
      next: buildInstead,
      cause,
    });
  }
  const file = tool === "minio" ? downloadedMinio(env) : toolPaths(env)[tool];
  if (tool !== "libvirt-provider" && !isExecutable(file)) throw missing(tool, file);
  writeStamp(env, tool, "vendor");
}

async function fetchTool(env: Environment, tool: ToolName, run: RunCommand): Promise<void> {
  const environment = { PULUMI_HOME: pulumiHome(env), PULUMI_SKIP_UPDATE_CHECK: "true" };
  const plugin = async (name: string, version: string): Promise<void> => {
    const args = ["plugin", "install", "resource", name, version];
    await run(toolPaths(env).pulumi, args, { env: environment });
  };
  switch (tool) {
    case "pulumi":
      await downloadPulumi(env, run);
      break;
    case "terraform-bridge":
      await plugin("terraform-provider", pins.terraformBridge);
      break;
    case "command-plugin":
      await plugin("command", pins.commandPlugin);
      break;
    case "minio":
      await downloadMinio(downloadedMinio(env), minioDownloads, run);
      break;
    case "language-host":
    case "dynamic-launcher":
    case "libvirt-provider":
      break; // the CLI's download and the bridge bring them
    case "cadvisor":
    case "collector":
    case "compose":
    case "healthcheck":
    case "loki":
    case "tempo":
    case "k3s":
    case "k3s-before":
    case "k3s-airgap":
    case "coredns":
      throw new Error("tools for tests are always built");
  }
}

/** By curl, which goes through a proxy; the CLI's npm package would download with a fetch that does not. */
async function downloadPulumi(env: Environment, run: RunCommand): Promise<void> {
  const bin = path.dirname(toolPaths(env).pulumi);
  const partial = `${bin}.${String(process.pid)}.new`;
  const archive = `${partial}.tar.gz`;
  try {
    fs.mkdirSync(partial, { recursive: true });
    await run("curl", ["-fsSL", "--retry", "3", "-o", archive, pulumiDownload]);
    await run("tar", ["-xzf", archive, "-C", partial, "--strip-components=1", "--no-same-owner"]);
    fs.rmSync(bin, { recursive: true, force: true });
    fs.renameSync(partial, bin);
  } finally {
    for (const left of [partial, archive]) fs.rmSync(left, { recursive: true, force: true });
  }
}

/** Downloads MinIO's server, and takes it only when it is what its published checksum says. */
export async function downloadMinio(file: string, from: string, run: RunCommand): Promise<void> {
  const url = `${from}/minio.${pins.minioRelease}`;
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const partial = `${file}.part`;
  const published = await run("curl", ["-fsSL", "--max-time", "60", `${url}.sha256sum`]);
  const expected = /^[0-9a-f]{64}\b/.exec(published.trim())?.[0];
  await run("curl", ["-fsSL", "--retry", "3", "-o", partial, url]);
  const hash = createHash("sha256");
  await pipeline(fs.createReadStream(partial), hash);
  const seen = hash.digest("hex");
  if (seen !== expected) {
    fs.rmSync(partial);
    throw new GroundworkError({
      code: "wrong-checksum",
      message: `The download of ${url} has the SHA-256 ${seen}, and ${expected ?? "none"} is published for it.`,
      next: "Run scripts/setup again; if it stays so, put a `minio` of your own on PATH.",
    });
  }
  replaceFile(file, (temporary) => {
    fs.renameSync(partial, temporary);
    fs.chmodSync(temporary, 0o755);
  });
}

function missing(tool: ToolName, file: string): GroundworkError {
  return new GroundworkError({
    code: "tool-not-installed",
    message: `The download of ${tool} succeeded, and yet ${file} is not there.`,
    next: buildInstead,
  });
}
