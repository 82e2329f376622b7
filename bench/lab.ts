import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Properties } from "../providers/handler.ts";
import * as provider from "../providers/image-volume/provider.ts";
import { ImageVolumeLab, type Made } from "../test/support/image-volume-lab.ts";

/** An image in the store, and the same on disk. */
export interface BenchImage {
  key: string;
  file: string;
  bytes: number;
  dataMiB: number;
  virtualMiB: number;
}

export type Compression = "zlib" | "zstd";

/** What every measurement stands on: a volume group, an object store, a cache. */
export class BenchLab {
  readonly lab: ImageVolumeLab;
  private constructor(lab: ImageVolumeLab) {
    this.lab = lab;
  }

  static async make(sizeMiB: number): Promise<BenchLab> {
    return new BenchLab(await ImageVolumeLab.make({ sizeMiB }));
  }

  remove(): void {
    this.lab.remove();
  }

  /** A file with so much of this machine's own programs and documents: they compress as a guest's do. */
  data(mebibytes: number): string {
    const file = path.join(this.lab.group.folder, `data-${String(mebibytes)}`);
    if (!fs.existsSync(file))
      // head ends before tar does, which is no failure.
      bash(
        `while [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -lt $(($2 << 20)) ]; do
           tar -C / -cf - usr/bin usr/lib usr/share 2>/dev/null | head -c $(($2 << 20)) >>"$1" || true
         done; truncate -s $(($2 << 20)) "$1"`,
        ...[file, String(mebibytes)],
      );
    return file;
  }

  /** Makes an image with a partition's worth of data at the front and a hole behind, and uploads it. */
  async image(
    dataMiB: number,
    virtualMiB: number,
    compression: Compression = "zlib",
  ): Promise<BenchImage> {
    const key = `${compression}-${String(dataMiB)}-${String(virtualMiB)}.qcow2`;
    const file = path.join(this.lab.group.folder, key);
    bash(
      `cp --sparse=always "$1" "$2.raw"; truncate -s $(($3 << 20)) "$2.raw"
       qemu-img convert -c -f raw -O qcow2 -o compression_type=$4 "$2.raw" "$2"; rm "$2.raw"`,
      ...[this.data(dataMiB), file, String(virtualMiB), compression],
    );
    const { client } = this.lab.minio;
    await client.fPutObject("images", key, file);
    const sum = execFileSync("sha256sum", [file], { encoding: "utf8" }).split(" ")[0] ?? "";
    await client.putObject("images", `${key}.sha256`, `${sum}  ${key}\n`);
    return { key, file, dataMiB, virtualMiB, bytes: fs.statSync(file).size };
  }

  /** A URL with which anybody can fetch the image for an hour. */
  url(image: BenchImage): Promise<string> {
    return this.lab.minio.client.presignedGetObject("images", image.key, 3600);
  }

  /** Arguments of a volume with the image, straight from the store. */
  args(image: BenchImage, endpoint = this.lab.minio.endpoint): Properties {
    return this.lab.args(undefined, {
      sizeGiB: image.virtualMiB / 1024,
      image: { endpoint, bucket: "images", key: image.key },
    });
  }

  forgetImages(): void {
    fs.rmSync(this.lab.cache, { recursive: true, force: true });
  }

  /** Makes volumes at once, as an `up` does after its preview; returns the seconds, and removes them. */
  async create(image: BenchImage, count = 1, args = () => this.args(image)): Promise<number> {
    const inputs: Properties[] = [];
    for (let made = 0; made < count; made += 1) inputs.push(await this.lab.check(args()));
    flush();
    let volumes: Omit<Made, "inputs">[] = [];
    const seconds = await timed(async () => {
      volumes = await Promise.all(inputs.map((each) => provider.create(each)));
    });
    for (const { id, outs } of volumes) await provider.delete(id, outs);
    return seconds;
  }

  /** Has the cache make the copy of an image that decodes faster, and waits until it is there. */
  async makeCopy(image: BenchImage): Promise<void> {
    await this.create(image, 1, () => ({ ...this.args(image), cacheEncoding: "zstd" }));
    const isThere = (name: string): boolean => name.endsWith(".zstd") && !name.includes(".part");
    while (!fs.readdirSync(this.lab.cache).some(isThere)) await sleep(200);
  }

  /** Runs a script with an empty volume as `$device`; returns the seconds it took. */
  async onVolume(virtualMiB: number, script: string, ...words: string[]): Promise<number> {
    const { commands, name } = this.lab.group;
    const device = `/dev/${name}/bench`;
    this.lab.group.bash(
      commands.create(name, "bench", virtualMiB * 2 ** 20),
      `fallocate --punch-hole -o 0 -l ${String(virtualMiB * 2 ** 20)} ${device}`,
    );
    flush();
    const seconds = await timed(() => {
      bash(`device=$1; shift; ${script}`, device, ...words);
      return Promise.resolve();
    });
    this.lab.group.bash(
      `fallocate --punch-hole -o 0 -l ${String(virtualMiB * 2 ** 20)} ${device}`,
      commands.remove(name, "bench"),
    );
    return seconds;
  }
}

/** Runs a bash script; `$1` and on are the words. */
export function bash(script: string, ...words: string[]): string {
  return execFileSync("bash", ["-c", `set -euo pipefail; ${script}`, "bash", ...words], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
}

/** Writes out what earlier work left dirty, so that nobody else pays for it. */
export function flush(): void {
  execFileSync("sync");
}

export async function timed(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}
