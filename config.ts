import * as fs from "node:fs";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { checkConfig } from "./config/checks.ts";
import { explain } from "./config/explain.ts";
import { ConfigError, type Problem } from "./config/problem.ts";
import { type ContainerImage, parseContainerImages } from "./config/observability.ts";
import { planClusterNodes } from "./config/cluster-nodes.ts";
import { type Config, configSchema, type MachineConfig } from "./config/schema.ts";

export type * from "./config/schema.ts";
export { type ClusterNode, planClusterNodes } from "./config/cluster-nodes.ts";
export { ConfigError } from "./config/problem.ts";

const prefix = "groundwork:";

/**
 * Reads the configuration of a stack: the mapping under `config:` of a stack file, with keys such
 * as `groundwork:machines`. Keys of other namespaces are left alone. Defaults are filled in.
 *
 * @throws ConfigError `bad-configuration` that lists every problem with its path.
 */
export function parseConfig(raw: Record<string, unknown>): Config {
  const sections = Object.fromEntries(
    Object.entries(raw)
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), value]),
  );
  const parsed = configSchema.safeParse(sections);
  const problems: Problem[] = parsed.success
    ? checkConfig(parsed.data)
    : explain(parsed.error.issues, sections);
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  return parsed.data;
}

/** All machines of a stack, the nodes of its clusters among them. */
export function machinesOf({ machines, clusters }: Config): MachineConfig[] {
  const nodes = clusters.flatMap((cluster) => planClusterNodes(cluster));
  return [...machines, ...nodes.map(({ machine }) => machine)];
}

/** Every section holds a mapping or a list, which Pulumi hands over as JSON text. */
function decode(value: string): unknown {
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value; // a scalar; the schema says what was expected in its place
  }
}

/**
 * The configuration of the stack that is being deployed.
 *
 * @throws pulumi.RunError with the text of ConfigError, which Pulumi shows without a stack trace.
 */
export function loadConfig(): Config {
  const raw = Object.entries(pulumi.runtime.allConfig()).map(
    ([key, value]) => [key, decode(value)] as const,
  );
  try {
    return parseConfig(Object.fromEntries(raw));
  } catch (error) {
    if (error instanceof ConfigError) throw new pulumi.RunError(error.message);
    throw error;
  }
}

/** What the machine that runs Pulumi adds to the configuration (`make env` prints the variables). */
export interface Environment {
  /** Absolute path of Groundwork's folder here: GROUNDWORK_HOME, else `.groundwork`. */
  home: string;
  /** The hypervisor of those that name none: LIBVIRT_DEFAULT_URI, else `qemu:///system`. */
  libvirtUri: string;
  /** The folder that printed commands are to be run in. */
  cwd: string;
}

export function loadEnvironment(): Environment {
  return {
    home: path.resolve(process.env["GROUNDWORK_HOME"] ?? ".groundwork"),
    libvirtUri: process.env["LIBVIRT_DEFAULT_URI"] ?? "qemu:///system",
    cwd: process.cwd(),
  };
}

/** Written by `make up` beside the state: the container images that it made and put into the store. */
export const containerImagesFile = "container-images.json";

/**
 * The container images that `make up` made for `images: build`.
 *
 * @throws pulumi.RunError where it has not made them yet.
 */
export function loadContainerImages(home: string): ContainerImage[] {
  const file = path.join(home, containerImagesFile);
  try {
    return parseContainerImages(JSON.parse(fs.readFileSync(file, "utf8")));
  } catch (cause) {
    throw new pulumi.RunError(
      `The container images of the observability lab are not known: ${file} cannot be read (${(cause as Error).message}). Run \`make up\`, which makes them, or set images to pull.`,
    );
  }
}
