import { type ImageName, type ImageRecipe, ownerId } from "./recipes.ts";

/** The name under which an image is loaded: `groundwork/<name>:<key>`. */
export function imageTag(name: ImageName, key: string): string {
  return `groundwork/${name}:${key}`;
}

/** The variable by which compose.build.yaml learns of an image: `IMAGE_OTEL_COLLECTOR`. */
export function imageVariable(name: ImageName): string {
  return `IMAGE_${name.toUpperCase().replaceAll("-", "_")}`;
}

/** Lines for the project's .env file that select made images. */
export function renderEnvironment(tags: Readonly<Record<ImageName, string>>): string {
  const lines = Object.entries(tags).map(
    ([name, tag]) => `${imageVariable(name as ImageName)}=${tag}`,
  );
  return ["COMPOSE_FILE=compose.yaml:compose.build.yaml", ...lines, ""].join("\n");
}

/**
 * The image's configuration in the format of the Open Container Initiative. Its digest is the image's id, so it
 * holds nothing that differs from build to build.
 *
 * @param layerDigest SHA-256 of the one layer, in hex
 */
export function renderImageConfig(recipe: ImageRecipe, layerDigest: string): string {
  const environment = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...recipe.environment };
  return JSON.stringify({
    architecture: "amd64",
    os: "linux",
    created: "1970-01-01T00:00:00Z",
    config: {
      User: `${String(ownerId)}:${String(ownerId)}`,
      Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      Entrypoint: recipe.entrypoint,
      WorkingDir: recipe.workingFolder ?? "/",
    },
    rootfs: { type: "layers", diff_ids: [`sha256:${layerDigest}`] },
    history: [{ created: "1970-01-01T00:00:00Z", created_by: "groundwork" }],
  });
}

/** `manifest.json` of an archive that `docker load` reads. */
export function renderManifest(tag: string): string {
  return JSON.stringify([{ Config: "config.json", RepoTags: [tag], Layers: ["layer.tar"] }]);
}

/** `etc/passwd` of an image: programs want a name for who they are. */
export const passwd = [
  "root:x:0:0:root:/root:/sbin/nologin",
  `lab:x:${String(ownerId)}:${String(ownerId)}:lab:/nonexistent:/sbin/nologin`,
  "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin",
  "",
].join("\n");

/** `etc/group` of an image. */
export const group = ["root:x:0:", `lab:x:${String(ownerId)}:`, "nogroup:x:65534:", ""].join("\n");
