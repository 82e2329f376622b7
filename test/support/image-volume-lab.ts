import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { GroundworkError } from "../../providers/errors.ts";
import type { Properties } from "../../providers/handler.ts";
import { renderEnsureEntry } from "../../providers/image-volume/core/commands.ts";
import { cacheLayout } from "../../providers/image-volume/core/layout.ts";
import { forgetObservation } from "../../providers/image-volume/effects/hosts.ts";
import * as provider from "../../providers/image-volume/provider.ts";
import { type FaultFront, type SeenRequest, startFaultFront } from "./fault-front.ts";
import type { LvmGuest } from "./lvm-guest.ts";
import { startMinio, type TestMinio } from "./minio.ts";
import { makeVolumeGroup, type TestVolumeGroup } from "./volume-group.ts";

const mebibyte = 2 ** 20;

const packers = { gz: "gzip -1", xz: "xz -1", zst: "zstd -q" };

export interface TestImage {
  readonly key: string;
  /** SHA-256 of the object. */
  readonly digest: string;
  /** Length of the object. */
  readonly bytes: number;
  readonly file: string;
  /** The disk inside, as a file. */
  readonly raw: string;
  readonly virtualBytes: number;
  /** What is in it; none: qcow2. */
  readonly format?: "raw";
}

export interface Made {
  id: string;
  inputs: Properties;
  outs: Properties;
}

/** Asserts that a promise fails with this code and that its message says so much. */
export function rejects(promise: Promise<unknown>, code: string, text: RegExp): Promise<void> {
  return assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof GroundworkError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    return true;
  });
}

/** Whether a request is for the image's content, and not for its header only. */
export function isFetch(
  image: Pick<TestImage, "key">,
  { method, path: requested, range }: SeenRequest,
): boolean {
  return method === "GET" && requested === `/images/${image.key}` && range !== "bytes=0-4095";
}

function setEnvironment(variables: NodeJS.ProcessEnv): void {
  for (const [name, value] of Object.entries(variables))
    if (value === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = value;
}

/** A volume group, an object store behind a front that can misbehave, and a cache: all for one suite. */
export class ImageVolumeLab {
  readonly group: TestVolumeGroup;
  readonly minio: TestMinio;
  readonly front: FaultFront;
  readonly cache: string;
  uri = "qemu:///system";
  /** Of images and volumes, in MiB, unless a test says otherwise. */
  private readonly sizes: { image: number; volume: number };
  private count = 0;
  private readonly environment: NodeJS.ProcessEnv;

  private constructor(
    group: TestVolumeGroup,
    minio: TestMinio,
    front: FaultFront,
    cache = path.join(group.folder, "cache"),
    sizes = { image: 64, volume: 128 },
  ) {
    [this.group, this.minio, this.front, this.cache] = [group, minio, front, cache];
    this.sizes = sizes;
    const set: NodeJS.ProcessEnv = {
      ...this.variables(),
      ...{ MINIO_ACCESS_KEY: undefined, MINIO_SECRET_KEY: undefined },
    };
    this.environment = Object.fromEntries(
      Object.keys(set).map((name) => [name, process.env[name]]),
    );
    setEnvironment(set);
  }

  static async make(options: { sizeMiB?: number } = {}): Promise<ImageVolumeLab> {
    return ImageVolumeLab.#with(makeVolumeGroup(options));
  }

  /** A lab whose volumes and cache are on a guest: small ones, for reading takes it its time. */
  static async makeOn(guest: LvmGuest): Promise<ImageVolumeLab> {
    const lab = await ImageVolumeLab.#with(guest.makeVolumeGroup(), "/var/lib/groundwork/cache", {
      ...{ image: 16, volume: 64 },
    });
    lab.uri = guest.uri;
    guest.forward(Number(new URL(lab.front.endpoint).port));
    return lab;
  }

  static async #with(
    group: TestVolumeGroup,
    cache?: string,
    sizes?: { image: number; volume: number },
  ): Promise<ImageVolumeLab> {
    const minio = await startMinio();
    await minio.client.makeBucket("images");
    return new ImageVolumeLab(group, minio, await startFaultFront(minio.endpoint), cache, sizes);
  }

  /** What the provider reads from the environment. */
  variables(): Record<string, string> {
    return {
      GROUNDWORK_IMAGE_CACHE: this.cache,
      GROUNDWORK_OBJECT_STORE_CREDENTIALS: this.minio.credentialsFile,
    };
  }

  /** The script that brings an image into the cache from a URL. */
  fetchScript({ digest, bytes }: Pick<TestImage, "digest" | "bytes">, url: string): string {
    const format = { disk: "qcow2", packing: "none" } as const;
    return renderEnsureEntry({
      ...{ cache: cacheLayout(this.cache), digest, bytes, format, source: { url } },
    });
  }

  /** The ranges of the requests for the image's content so far. */
  fetches(image: Pick<TestImage, "key">): (string | undefined)[] {
    return this.front.seen.filter((request) => isFetch(image, request)).map(({ range }) => range);
  }

  /**
   * Has a shell line run before each call of a program by this process or its children.
   * Returns the search path that leads there.
   */
  interpose(program: string, line: string): string {
    const tools = path.join(this.group.folder, "tools");
    const real = execFileSync("bash", ["-c", `command -v ${program}`], { encoding: "utf8" });
    const search = process.env["PATH"] ?? "";
    fs.mkdirSync(tools, { recursive: true });
    fs.writeFileSync(path.join(tools, program), `#!/bin/sh\n${line}\nexec ${real.trim()} "$@"\n`, {
      mode: 0o755,
    });
    if (search.startsWith(`${tools}:`)) return search;
    this.environment["PATH"] = search; // put back by `remove`
    return (process.env["PATH"] = `${tools}:${search}`);
  }

  /** The same for what writes images: qemu-img, and the program that inflates. */
  interposeDecoder(line: string): string {
    this.interpose("qemu-img", `case "$1" in convert) ${line} ;; esac`);
    return this.interpose("prlimit", `case "$1" in --pid) ${line} ;; esac`); // before our own decoder
  }

  removeVolumes(): void {
    const { group } = this;
    group.bash(...group.volumes().map((volume) => group.commands.remove(group.name, volume)));
  }

  /** No volumes, no faults, no requests seen. */
  reset(): void {
    this.front.fault = () => undefined;
    this.front.seen.length = 0;
    this.removeVolumes();
  }

  remove(): void {
    setEnvironment(this.environment);
    this.front.stop();
    this.minio.stop();
    this.group.remove();
  }

  /** Makes an image with random data and holes, and uploads it. */
  async image(
    options: {
      dataMiB?: number;
      virtualMiB?: number;
      /** Bytes of data behind that: a multiple of 512. */
      tailBytes?: number;
      bucket?: string;
      key?: string;
      /** Default: a compressed qcow2. */
      raw?: boolean;
      pack?: keyof typeof packers;
      /** Of the clusters in a qcow2. */
      compression?: "zlib" | "zstd";
      /** Tables of parts of clusters, for which our own decoder leaves the image to qemu-img. */
      extendedL2?: boolean;
      /** Default: as sha256sum prints it; null: none. */
      sidecar?: ((digest: string) => string) | null;
    } = {},
  ): Promise<TestImage> {
    const suffix = [options.raw === true ? "raw" : "qcow2", options.pack].filter(Boolean).join(".");
    const key = options.key ?? `image-${String((this.count += 1))}.${suffix}`;
    const bucket = options.bucket ?? "images";
    const raw = path.join(this.group.folder, `${bucket}-${key}.raw`);
    const file = path.join(this.group.folder, `${bucket}-${key}`);
    const {
      dataMiB: data = 4,
      virtualMiB: virtual = this.sizes.image,
      tailBytes: tail = 0,
    } = options;
    // Data at both ends, a hole in the middle.
    const script = `head -c ${String(data / 2)}M /dev/urandom >"$1"; truncate -s ${String(virtual - data / 2)}M "$1"
      head -c ${String((data / 2) * mebibyte + tail)} /dev/urandom >>"$1"; ${options.raw === true ? 'cp "$1" "$2.disk"' : `qemu-img convert -c -f raw -O qcow2 -o compression_type=${options.compression ?? "zlib"},extended_l2=${options.extendedL2 === true ? "on" : "off"} "$1" "$2.disk"`}
      ${options.pack === undefined ? "cat" : packers[options.pack]} <"$2.disk" >"$2"; rm "$2.disk"`;
    execFileSync("bash", ["-c", script, "bash", raw, file]);
    const content = fs.readFileSync(file);
    const digest = createHash("sha256").update(content).digest("hex");
    await this.upload(key, content, options.sidecar, bucket);
    return {
      ...{ key, digest, file, raw, bytes: content.length, virtualBytes: virtual * mebibyte + tail },
      ...(options.raw === true && { format: "raw" }),
    };
  }

  /** Uploads any content as an image, with a sidecar that is right unless told otherwise. */
  async upload(
    key: string,
    content: Buffer,
    sidecar: ((digest: string) => string) | null = (digest) => `${digest}  ${key}\n`,
    bucket = "images",
  ): Promise<string> {
    const { client } = this.minio;
    if (!(await client.bucketExists(bucket))) await client.makeBucket(bucket);
    const digest = createHash("sha256").update(content).digest("hex");
    await client.putObject(bucket, key, content);
    if (sidecar !== null) await client.putObject(bucket, `${key}.sha256`, sidecar(digest));
    return digest;
  }

  /** Arguments of a volume of 128 MiB, or 64 on a guest, with the image, through the front. */
  args(image: Pick<TestImage, "key" | "format"> | undefined, more: Properties = {}): Properties {
    return {
      hypervisorUri: this.uri,
      volumeGroup: this.group.name,
      volumeName: `vm${String((this.count += 1))}-root`,
      sizeGiB: this.sizes.volume / 1024,
      owner: "groundwork/test",
      ...(image && {
        image: {
          ...{ endpoint: this.front.endpoint, bucket: "images", key: image.key },
          ...(image.format && { format: image.format }),
        },
      }),
      ...more,
    };
  }

  /** `check` with a fresh look; throws what it finds wrong. */
  async check(args: Properties, olds: Properties = {}): Promise<Properties> {
    forgetObservation(String(args["hypervisorUri"]));
    const { inputs, failures } = await provider.check(olds, args);
    if (failures.length > 0) throw new Error(failures.map(({ reason }) => reason).join("; "));
    return inputs;
  }

  /** `check`, then `create`, as `pulumi up` does it. */
  async create(args: Properties): Promise<Made> {
    const inputs = await this.check(args);
    return { ...(await provider.create(inputs)), inputs };
  }

  /** `check`, `diff` and, when there is one, `update`, as `pulumi up` does it on the second run. */
  async update(made: Made, args: Properties): Promise<Made & { changed: boolean }> {
    const inputs = await this.check(args, made.inputs);
    const { changes } = await provider.diff(made.id, made.outs, inputs);
    if (changes !== true) return { ...made, changed: false };
    const { outs } = await provider.update(made.id, made.outs, inputs);
    return { id: made.id, inputs, outs, changed: true };
  }

  device(made: Pick<Made, "id">): string {
    return `/dev/${made.id}`;
  }

  /** Fails unless the volume holds the image, and zeroes behind it. */
  assertContent(device: string, image: TestImage): void {
    execFileSync("cmp", ["-n", String(image.virtualBytes), image.raw, device]);
    this.assertZeroes(device, image.virtualBytes);
  }

  assertZeroes(device: string, from = 0): void {
    const size = Number(execFileSync("blockdev", ["--getsize64", device], { encoding: "utf8" }));
    const skip = `${String(from)}:0`;
    execFileSync("cmp", ["-i", skip, "-n", String(size - from), device, "/dev/zero"]);
  }

  /** Everything on the host that a preview must not change. */
  snapshot(): string {
    const listing = execFileSync(
      "bash",
      [
        "-c",
        `{ losetup -a; ls /run/lock; } | grep -F -e "$3" -e "$(basename "$2")" | sort
          find "$1" "$2" -printf '%p %s %T@ %m\n' 2>/dev/null | sort`,
        "bash",
        this.cache,
        `/dev/${this.group.name}`,
        this.group.folder,
      ],
      { encoding: "utf8" },
    );
    const { commands, name } = this.group;
    const report = commands.lvm("lvs", "--noheadings", "-o", "lv_name,lv_tags,lv_size", name);
    return listing + this.group.bash(report);
  }

  /** Names of the finished entries and of everything else in the cache. */
  cacheFiles(): { entries: string[]; others: string[] } {
    const names = fs.existsSync(this.cache) ? fs.readdirSync(this.cache) : [];
    const locks = names.filter((name) => !name.endsWith(".lock"));
    return {
      entries: locks.filter((name) => name.endsWith(".image")),
      others: locks.filter((name) => !name.endsWith(".image")),
    };
  }
}

/** Writes 128 MiB of what no test expects to read again. */
export function fillWith0xAA(device: string): void {
  execFileSync("bash", [
    "-c",
    `tr '\\0' '\\252' </dev/zero | dd of="$1" bs=1M count=128 iflag=fullblock conv=notrunc,fsync status=none`,
    "bash",
    device,
  ]);
}
