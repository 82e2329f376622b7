import { z } from "zod";
import { composeError } from "./errors.ts";
import { filesLabel } from "./layout.ts";
import { type ManifestEntry, manifestDigest, sha256 } from "./manifest.ts";

/** A service of a project, as Compose resolved it. */
export interface Service {
  name: string;
  image?: string;
  builds: boolean;
  /** Changes with what Compose makes the container from. */
  definition: string;
  /** What it mounts of the project: files and folders. */
  mounts: string[];
  /** Changes with the content of the files that it mounts. */
  files: string;
}

const fileReference = z.looseObject({ file: z.string().optional() });
const reference = z.looseObject({ source: z.string() });
const serviceSchema = z.looseObject({
  image: z.string().optional(),
  build: z.unknown().optional(),
  volumes: z
    .array(
      z.looseObject({
        type: z.string(),
        source: z.string().optional(),
        target: z.string().optional(),
        read_only: z.boolean().optional(),
      }),
    )
    .nullish(),
  configs: z.array(reference).nullish(),
  secrets: z.array(reference).nullish(),
});
const modelSchema = z.looseObject({
  name: z.string(),
  services: z.record(z.string(), serviceSchema).default({}),
  configs: z.record(z.string(), fileReference).nullish(),
  secrets: z.record(z.string(), fileReference).nullish(),
});

export interface Model {
  services: Service[];
}

/**
 * Reads what `docker compose config --format json` printed.
 *
 * @param root the folder that Compose was run in, as it stands in the paths it printed
 * @throws GroundworkError `compose-model` when it is not what Compose prints,
 *   `writable-project-mount`, `missing-project-mount`
 */
export function parseModel(text: string, root: string, manifest: readonly ManifestEntry[]): Model {
  const model = readModel(text);
  const inside = (path: string): string | undefined =>
    path === root ? "" : path.startsWith(`${root}/`) ? path.slice(root.length + 1) : undefined;
  const below = (path: string): ManifestEntry[] => filesBelow(manifest, path);
  const services = Object.entries(model.services).map(([name, service]): Service => {
    const mounts = (service.volumes ?? []).flatMap((volume) => {
      const source = volume.type === "bind" ? inside(volume.source ?? "") : undefined;
      if (source === undefined) return [];
      const target = volume.target ?? "";
      if (volume.read_only !== true) throw writable(name, source, target);
      if (below(source).length === 0) throw missing(name, source, target);
      return [source];
    });
    const named = (["configs", "secrets"] as const).flatMap((kind) =>
      (service[kind] ?? []).flatMap(({ source }) => {
        const file = inside(model[kind]?.[source]?.file ?? "");
        if (file === undefined) return [];
        if (below(file).length === 0) throw missing(name, file, `${kind} ${source}`);
        return [file];
      }),
    );
    const { build, ...container } = service;
    return {
      name,
      ...(service.image !== undefined && { image: service.image }),
      builds: build !== undefined && build !== null,
      definition: sha256(JSON.stringify(container).replaceAll(root, "")).slice(0, 16),
      mounts: [...mounts, ...named],
      files: mountedDigest(manifest, [...mounts, ...named]),
    };
  });
  if (services.length === 0)
    throw composeError(
      "no-services",
      `The Compose project "${model.name}" has no service that would run.`,
      "Define one, or enable a profile with COMPOSE_PROFILES.",
    );
  return { services };
}

function readModel(text: string): z.output<typeof modelSchema> {
  try {
    return modelSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw composeError(
      "compose-model",
      "What `docker compose config` printed cannot be read.",
      "Check that `docker compose version` on the host tells 2.21 or newer.",
      cause,
    );
  }
}

function filesBelow<Entry extends { path: string }>(
  manifest: readonly Entry[],
  path: string,
): Entry[] {
  return manifest.filter(
    (entry) => path === "" || entry.path === path || entry.path.startsWith(`${path}/`),
  );
}

/** One digest for the files that a service mounts out of a tree. */
export function mountedDigest(
  manifest: readonly { path: string; sha256: string; mode: string }[],
  mounts: readonly string[],
): string {
  const entries = mounts.flatMap((path) => filesBelow(manifest, path));
  const unique = [...new Map(entries.map((entry) => [entry.path, entry])).values()];
  return manifestDigest(unique).slice(0, 16);
}

const shown = (path: string): string => (path === "" ? "the project's folder" : `./${path}`);

function writable(service: string, source: string, target: string): Error {
  return composeError(
    "writable-project-mount",
    `Service "${service}" mounts ${shown(source)} at ${target} for writing; what it writes there would be lost with the next deployment.`,
    "Mount it with `:ro`, or use a named volume for data.",
  );
}

function missing(service: string, source: string, target: string): Error {
  return composeError(
    "missing-project-mount",
    `Service "${service}" mounts ${shown(source)} at ${target}, which is not a file of the project.`,
    "Add the file, take it out of .syncignore, or correct the path.",
  );
}

/**
 * A Compose file over the project's own that labels each service with the digest of the files it
 * mounts: Compose makes a container anew when its label changes, and does not look into files.
 */
export function renderOverride({ services }: Model): string {
  const override = {
    services: Object.fromEntries(
      services.map(({ name, files }) => [name, { labels: { [filesLabel]: files } }]),
    ),
  };
  // JSON is YAML.
  return `${JSON.stringify(override, undefined, 2)}\n`;
}
