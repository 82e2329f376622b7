import { z } from "zod";

/** Where an image of the project comes from. */
export const imageModes = ["pull", "build", "preload"] as const;
/** Where Docker's engine and Compose V2 come from when the host lacks them. */
export const engines = ["distribution", "docker", "present"] as const;

const relativePath = z
  .string()
  .regex(
    /^(?!\/)(?!.*(^|\/)\.\.?(\/|$))[^\0\n\r]+$/,
    "must be a path inside the project, without . and ..",
  );
const variables = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be the name of a variable"),
  z.string().regex(/^[^\0\n\r\\]*$/, "must be one line without a backslash"),
);

export const httpCheckSchema = z.strictObject({
  url: z
    .string()
    .regex(
      /^http:\/\/[A-Za-z0-9.-]+(:[0-9]{1,5})?(\/[!-~]*)?$/,
      "must be an http URL, as the host itself reaches it",
    ),
  status: z.int().min(100).max(599).default(200),
  contains: z.string().min(1).optional(),
  timeoutSeconds: z.int().min(1).max(3600).default(60),
});

export const archiveSchema = z.strictObject({
  image: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._/:@-]*$/, "must be the name of an image, with its tag"),
  endpoint: z.string().min(1),
  region: z.string().optional(),
  bucket: z.string().min(1),
  key: z.string().min(1),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, "must be 64 hexadecimal digits")
    .optional(),
});

/** What the resource takes; what each field means stands at `ComposeProjectArgs`. */
export const argumentsSchema = z.strictObject({
  stack: z.string().min(1),
  host: z.string().min(1),
  folder: z.string().min(1),
  path: z
    .string()
    .regex(
      /^(?!.*\/\.\.?(\/|$))(\/[A-Za-z0-9_.@+-]+){2,}$/,
      "must be an absolute path of two or more plain components, without . and ..",
    ),
  project: z.string().regex(/^[a-z0-9][a-z0-9_-]*$/, "must be lower-case letters, digits, - and _"),
  owner: z.string().regex(/^[A-Za-z0-9_.-]+\/[A-Za-z0-9_.-]+$/, "must be <project>/<stack>"),
  composeFiles: z
    .array(relativePath.regex(/^[^:]+$/, "must be a path without a colon"))
    .min(1)
    .default(["compose.yaml"]),
  environment: variables.default({}),
  secrets: variables.default({}),
  engine: z.enum(engines).default("present"),
  images: z.enum(imageModes).default("pull"),
  archives: z.array(archiveSchema).default([]),
  checkScript: relativePath.optional(),
  smokeChecks: z.array(httpCheckSchema).default([]),
  smokeScript: relativePath.optional(),
  smokeArguments: z.array(z.string().regex(/^[!-~]+$/, "must be one word")).default([]),
  upTimeoutSeconds: z.int().min(1).max(86_400).default(300),
  lockTimeoutSeconds: z.int().min(0).max(86_400).default(300),
  deleteData: z.boolean().default(false),
  triggers: z.array(z.unknown()).default([]),
});

export type ComposeProjectArguments = z.output<typeof argumentsSchema>;
export type HttpCheck = z.output<typeof httpCheckSchema>;
export type Archive = z.output<typeof archiveSchema>;
export type ImageMode = (typeof imageModes)[number];
export type EngineSource = (typeof engines)[number];
