import { z } from "zod";
import { flag, label, text, whole } from "./primitives.ts";
import type { Problem } from "./problem.ts";

const archive = z
  .strictObject({
    variable: text(
      /^IMAGE_[A-Z0-9_]+$/,
      "the name of a variable of the Compose project",
      "The variable of the Compose project that names the image.",
      "IMAGE_BACKEND",
    ),
    image: text(
      /^[a-z0-9][a-z0-9._/:@-]*$/,
      "the name of an image, with its tag",
      "The image in the archive.",
      "groundwork/backend:2bf771fde196229c",
    ),
    key: text(
      /^[!-~]+$/,
      "the key of an object",
      "The archive, which `docker save` wrote, in the object store's bucket.",
      "container-images/backend-2bf771fde196229c.tar",
    ),
    sha256: text(
      /^[0-9a-f]{64}$/,
      "64 hexadecimal digits",
      "The digest it must have, instead of what `<key>.sha256` says.",
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ).optional(),
  })
  .meta({ examples: [{ variable: "IMAGE_BACKEND", image: "lab/backend:1", key: "backend.tar" }] });

export const observability = z
  .strictObject({
    machine: label("The machine of this stack that it runs on.", "observability-vm").optional(),
    host: text(
      /^ssh:\/\/\S+$/,
      "an ssh:// URI",
      "Or another host that SSH reaches by key, with its host key known.",
      "ssh://deploy@192.168.122.250",
    )
      .refine(
        (uri) => !uri.startsWith("ssh://") || URL.canParse(uri),
        "a URI with a host, and a port of at most 65535 if any",
      )
      .optional(),
    path: text(
      /^(?!.*\/\.\.?(\/|$))(\/[A-Za-z0-9_.@+-]+){2,}$/,
      "an absolute path of two or more plain components, without . and ..",
      "Where the project lies there.",
      "/home/deploy/lab/app",
    ).default("/home/deploy/lab/app"),
    engine: z
      .enum(["distribution", "docker", "present"])
      .default("distribution")
      .meta({
        description:
          "Where Docker's engine and Compose V2 come from when they are missing: the distribution's packages, Docker's own repository, or nowhere.",
        examples: ["docker"],
      }),
    images: z
      .enum(["pull", "build", "preload"])
      .default("pull")
      .meta({
        description:
          "pull: from registries. build: `make up` makes those that can be made and ships them through the object store. preload: shipped from `archives`.",
        examples: ["pull"],
      }),
    archives: z
      .array(archive)
      .default([])
      .meta({
        description: "Images in the object store, for images: preload.",
        examples: [[]],
      }),
    httpPort: whole(1, 65_535, "The port of the frontend.", 80).default(80),
    upTimeoutSeconds: whole(
      10,
      86_400,
      "How long services may take to become healthy.",
      300,
    ).default(300),
    deleteData: flag(false, "Remove the data with the stack; otherwise its volumes stay."),
  })
  .meta({
    description: "The observability lab: a Compose project on a machine.",
    examples: [{ machine: "observability-vm" }],
  });

/** An image in the object store, and the variable that names it. */
export type ContainerImage = z.output<typeof archive>;

/** Reads the list of images that `make up` made. */
export function parseContainerImages(value: unknown): ContainerImage[] {
  return z.array(archive).min(1).parse(value);
}

/** What the schema cannot say. */
export function checkObservability(
  section: z.output<typeof observability> | undefined,
  machines: readonly { name: string }[],
): Problem[] {
  if (section === undefined) return [];
  const { machine, host, images, archives } = section;
  const problems: Problem[] = [];
  if ((machine === undefined) === (host === undefined))
    problems.push({
      path: ["observability"],
      expected: "either machine or host",
      example: '{"machine": "observability-vm"}',
    });
  if (machine !== undefined && !machines.some(({ name }) => name === machine))
    problems.push({
      path: ["observability", "machine"],
      seen: JSON.stringify(machine),
      expected: "a name from groundwork:machines",
    });
  if (images === "preload" && archives.length === 0)
    problems.push({
      path: ["observability", "archives"],
      expected: "the images to load, since images is preload",
    });
  if (images !== "preload" && archives.length > 0)
    problems.push({
      path: ["observability", "archives"],
      seen: `${String(archives.length)} archives`,
      expected: "none, since images is not preload",
    });
  return problems;
}
