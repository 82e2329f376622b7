import * as pulumi from "@pulumi/pulumi";
import { handlerStub } from "../stub.ts";
import type { PopulateOutcome } from "./core/outcome.ts";
import type { Strategy } from "./core/arguments.ts";
import type { PlanSummary } from "./core/summary.ts";
import type { Provisioning } from "./core/thin.ts";
import type { Encoding } from "./core/transcode.ts";

export type { PopulateOutcome } from "./core/outcome.ts";
export type { PlanSummary } from "./core/summary.ts";

/** An object in a MinIO or other S3 store. */
export interface ImageArgs {
  /** Such as `http://127.0.0.1:9000`; the hypervisor itself must reach it. Changing it moves nothing. */
  endpoint: pulumi.Input<string>;
  /** Default `us-east-1`. */
  region?: pulumi.Input<string>;
  bucket: pulumi.Input<string>;
  /**
   * The object; `<key>.sha256` beside it holds its checksum. One whose name ends in `.gz`, `.xz` or
   * `.zst` is packed so; it stays packed in the cache.
   */
  key: pulumi.Input<string>;
  /** What is in the object, which is never guessed. Default `qcow2`. */
  format?: pulumi.Input<"qcow2" | "raw">;
  /** The digest that the image must have, instead of what `<key>.sha256` says. */
  sha256?: pulumi.Input<string>;
  /**
   * Takes the image as it is where neither `sha256` nor `<key>.sha256` says what it should be: the
   * program reads the whole object once to know its digest, and again only when its ETag or length is
   * another. With a warning each time; `plan.digestSource` is then `url`. Default false: refused with
   * `image-without-checksum`.
   */
  allowUnverified?: pulumi.Input<boolean>;
}

export interface ImageVolumeArgs {
  /** The libvirt URI of the host with the volume group. Naming another host replaces the volume. */
  hypervisorUri: pulumi.Input<string>;
  /** An existing LVM volume group. Changing it replaces the volume. */
  volumeGroup: pulumi.Input<string>;
  /** The logical volume. Changing it replaces the volume. */
  volumeName: pulumi.Input<string>;
  /** In GiB, rounded up to whole extents. A larger one grows the volume in place, a smaller one is refused. */
  sizeGiB: pulumi.Input<number>;
  /** What to write onto the volume; none: zeroes. An image with another digest is written in place. */
  image?: pulumi.Input<pulumi.Unwrap<ImageArgs>> | ImageArgs;
  /** `<project>/<stack>`: tagged onto the volume, so that no other stack touches it. */
  owner: pulumi.Input<string>;
  /** Takes over a volume that exists and is not ours, with the content it has. Default false. */
  adopt?: pulumi.Input<boolean>;
  /** Another number writes the content anew, all that was on the volume being lost. Default 0. */
  generation?: pulumi.Input<number>;
  /**
   * How the host's cache keeps the image. `asIs`, the default: as it came. `zstd`: once a volume is
   * written from a qcow2 that is compressed with zlib, the host makes a copy in the background that
   * decodes in half the time, for the volumes after it.
   */
  cacheEncoding?: pulumi.Input<Encoding>;
  /**
   * Where new content is written. `inPlace`, the default: onto the volume, which nobody may use
   * meanwhile. `replace`: onto `<volume>.next` while the volume is in use, which then takes its place;
   * this needs its size once more in the volume group.
   */
  strategy?: pulumi.Input<Strategy>;
  /**
   * Keeps what the volume was before its content was last replaced, as `<volume>.previous`; implies the
   * strategy `replace`. When its image and `generation` are asked for again it comes back as it was left,
   * and the two change places. False, the default, removes it.
   */
  keepPrevious?: pulumi.Input<boolean>;
  /**
   * Lets domains be stopped that have the volume open when its content must be written, and starts
   * them again. Default false: that is refused with `volume-in-use`, as it always is for a process that
   * is no domain.
   */
  allowStop?: pulumi.Input<boolean>;
  /** How long a domain may take to shut down (by ACPI) before it is switched off. Default 120. */
  shutdownTimeoutSeconds?: pulumi.Input<number>;
  /** Whether stopped domains are started again. Default true; false where they are made anew anyway. */
  startAgain?: pulumi.Input<boolean>;
  /**
   * What becomes of the content when the volume is removed. `zero`, the default: it reads as zeroes
   * before its space is given back. `discard`: the device is told that it may forget it, which is
   * quick and promises nothing; one that cannot discard is zeroed. `none`: whoever gets the space
   * next may read it.
   */
  wipe?: pulumi.Input<"discard" | "zero" | "none">;
  /**
   * `thin`: takes space from a thin pool as it is written, and is a clone of the image's golden volume
   * there. `thick`: takes all of its space at once. Default: thin when `thinPool` names a pool or the
   * volume group has exactly one, else thick. A change replaces the volume; leaving it out changes nothing.
   */
  provisioning?: pulumi.Input<Provisioning>;
  /** A thin pool of the volume group; default: its only one. Another one replaces the volume. */
  thinPool?: pulumi.Input<string>;
}

/**
 * An LVM volume on a libvirt host, with an image from an object store written onto it.
 *
 * It guarantees that the volume holds exactly the image with the recorded digest, zeroes behind it,
 * and that no volume of anybody else is changed. Preview shows in `plan` what will be done.
 */
export class ImageVolume extends pulumi.dynamic.Resource {
  declare readonly hypervisorUri: pulumi.Output<string>;
  declare readonly volumeGroup: pulumi.Output<string>;
  declare readonly volumeName: pulumi.Output<string>;
  declare readonly sizeGiB: pulumi.Output<number>;
  /** `/dev/<volume group>/<volume>`. */
  declare readonly devicePath: pulumi.Output<string>;
  /** How it takes its space, which `provisioning` may leave open. */
  declare readonly provisionedAs: pulumi.Output<Provisioning>;
  /** The thin pool that it is in; undefined for a thick volume. */
  declare readonly pool: pulumi.Output<string | undefined>;
  declare readonly sizeBytes: pulumi.Output<number>;
  /** SHA-256 of the image on it; undefined without an image. */
  declare readonly digest: pulumi.Output<string | undefined>;
  /** LVM's own identity of the volume: another one means that it was made anew. */
  declare readonly volumeUuid: pulumi.Output<string>;
  /**
   * Names the content: another one means that it was written anew, with the same image or another.
   * Undefined for a volume that was taken over, and for one last written by an earlier version.
   */
  declare readonly contentId: pulumi.Output<string | undefined>;
  declare readonly plan: pulumi.Output<PlanSummary>;
  /** What really happened when the content was last written; undefined for an adopted volume. */
  declare readonly lastPopulate: pulumi.Output<PopulateOutcome | undefined>;

  constructor(name: string, args: ImageVolumeArgs, options?: pulumi.CustomResourceOptions) {
    const computed = {
      ...{ devicePath: undefined, sizeBytes: undefined, digest: undefined },
      ...{ volumeUuid: undefined, contentId: undefined, plan: undefined, lastPopulate: undefined },
      ...{ provisionedAs: undefined, pool: undefined },
    };
    super(
      handlerStub("image-volume"),
      name,
      { ...args, ...computed },
      options,
      "groundwork",
      "ImageVolume",
    );
  }
}
