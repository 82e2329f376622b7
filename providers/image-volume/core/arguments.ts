import { z } from "zod";
import { diskFormats } from "./image-format.ts";
import { encodings } from "./transcode.ts";
import { isDigest, ownerPattern } from "./layout.ts";
import { provisionings } from "./thin.ts";

const lvmName = z
  .string()
  .regex(
    /^(?!\.{1,2}$)[A-Za-z0-9_.+][A-Za-z0-9_.+-]{0,99}$/,
    'must be 1 to 100 letters, digits, "_", ".", "+" and "-", without a leading "-"',
  )
  .refine(
    (name) =>
      !/^(snapshot|pvmove)|_(cdata|cmeta|corig|mlog|mimage|pmspare|rimage|rmeta|tdata|tmeta|vdata|vorigin|imeta|iorig)/.test(
        name,
      ),
    "is a name that LVM keeps for itself",
  );

const sha256 = z
  .string()
  .transform((text) =>
    text
      .trim()
      .toLowerCase()
      .replace(/^sha256:/, ""),
  )
  .refine(isDigest, "must be SHA-256 in 64 hexadecimal digits");

/** A base image as an object in a store; its meaning stands in resource.ts. */
export const imageSchema = z.strictObject({
  endpoint: z
    .url({ protocol: /^https?$/, error: "must be a URL such as http://127.0.0.1:9000" })
    .refine((text) => {
      if (!URL.canParse(text)) return true; // said already
      const { pathname, search, username, hash } = new URL(text);
      return pathname === "/" && search + username + hash === "";
    }, "must have no path, query or user name"),
  region: z
    .string()
    .regex(/^[a-z0-9-]{1,40}$/, "must look like us-east-1")
    .optional(),
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "must be the name of a bucket"),
  key: z
    .string()
    .max(1000)

    .regex(/^[^\x00-\x1f\x7f]+$/, "must be the name of an object")
    .refine((key) => !key.split("/").some((part) => ["", ".", ".."].includes(part)), {
      error: 'must have no empty, "." or ".." part',
    }),
  sha256: sha256.optional(),
  allowUnverified: z.boolean().optional(),
  format: z.enum(diskFormats).optional(),
});

/** What becomes of a volume's content when the volume is removed. */
export const wipes = ["discard", "zero", "none"] as const;
export type Wipe = (typeof wipes)[number];

/** Where new content is written: onto the volume, or beside it to take its place. */
export const strategies = ["inPlace", "replace"] as const;
export type Strategy = (typeof strategies)[number];

/** The arguments of an ImageVolume; their meaning stands in resource.ts. */
export const argumentsSchema = z.strictObject({
  hypervisorUri: z.string().min(1),
  volumeGroup: lvmName,
  volumeName: lvmName,
  sizeGiB: z
    .number()
    .positive("must be more than 0")
    .max(64 * 1024, "must be at most 65536")
    .refine((size) => Number.isInteger(size * 2 ** 21), "must be whole sectors"),
  image: imageSchema.optional(),
  owner: z.string().regex(ownerPattern, "must be <project>/<stack>"),
  adopt: z.boolean().optional(),
  wipe: z.enum(wipes).optional(),
  cacheEncoding: z.enum(encodings).optional(),
  strategy: z.enum(strategies).optional(),
  keepPrevious: z.boolean().optional(),
  generation: z.int().min(0).max(999_999_999).optional(),
  allowStop: z.boolean().optional(),
  shutdownTimeoutSeconds: z.int().min(1).max(3600).optional(),
  startAgain: z.boolean().optional(),
  provisioning: z.enum(provisionings).optional(),
  thinPool: lvmName.optional(),
});

export type ImageVolumeArguments = z.infer<typeof argumentsSchema>;
export type ImageReference = NonNullable<ImageVolumeArguments["image"]>;
