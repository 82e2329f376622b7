import * as path from "node:path";
import { quote } from "../providers/host/core/script.ts";
import type { Measured } from "./core/targets.ts";
import { bash, type BenchImage, type BenchLab, flush, timed } from "./lab.ts";

/** Measures every way of bringing one image onto a volume, and the floors below them, in turns. */
export async function measurePopulate(
  bench: BenchLab,
  images: { zlib: BenchImage; zstd: BenchImage },
  runs: number,
  note: (name: Measured, seconds: number) => void,
): Promise<void> {
  const { zlib, zstd } = images;
  const url = await bench.url(zlib);
  const { folder } = bench.lab.group;
  const file = path.join(folder, "downloaded");
  const data = bench.data(zlib.dataMiB);
  const decode = (image: BenchImage): Promise<number> => {
    const nowhere = `driver=null-co,size=${String(image.virtualMiB * 2 ** 20)},read-zeroes=on`;
    flush();
    return timed(() => {
      bash(
        `qemu-img convert -f qcow2 -n -W -m 4 --target-image-opts "$1" "$2"`,
        image.file,
        nowhere,
      );
      return Promise.resolve();
    });
  };
  const create = (image: BenchImage, cold: boolean) => async (): Promise<number> => {
    if (cold) bench.forgetImages();
    return bench.create(image);
  };
  const { commands, name } = bench.lab.group;
  const methods: [Measured, () => Promise<number>][] = [
    [
      "downloadFloor",
      () =>
        timed(() => {
          bash(`curl -sf "$1" | openssl dgst -sha256 >/dev/null`, url);
          return Promise.resolve();
        }),
    ],
    ["decodeFloor", () => decode(zlib)],
    ["zstdDecodeFloor", () => decode(zstd)],
    [
      "writeFloor",
      () =>
        bench.onVolume(
          zlib.virtualMiB,
          `dd if="$1" of="$device" bs=4M iflag=fullblock oflag=direct conv=fsync,notrunc status=none`,
          data,
        ),
    ],
    [
      "naive",
      () =>
        bench.onVolume(
          zlib.virtualMiB,
          `curl -sf -o "$2" "$1"; qemu-img convert -O raw "$2" "$device"; rm "$2"`,
          ...[url, file],
        ),
    ],
    [
      "peer",
      // What it asks before it begins (checksum, `vgs`, `lvs`) is left out, in its favour.
      async () => {
        const create = `${commands.prelude}\n${commands.create(name, "peer", zlib.virtualMiB * 2 ** 20)}`;
        const device = quote(`/dev/${name}/peer`);
        flush();
        const seconds = await timed(() => {
          bash(
            `curl -sf -o "$2" "$1"; sha256sum "$2" >/dev/null; bash <<<"$3" >/dev/null
             qemu-img convert -f qcow2 -O raw "$2" ${device}`,
            ...[url, file, create],
          );
          return Promise.resolve();
        });
        bench.lab.group.bash(
          `rm ${quote(file)}; fallocate --punch-hole -o 0 -l ${String(zlib.virtualMiB * 2 ** 20)} ${device}`,
          commands.remove(name, "peer"),
        );
        return seconds;
      },
    ],
    ["cold", create(zlib, true)],
    ["warm", create(zlib, false)],
    [
      "warmCopy",
      async () => {
        await bench.makeCopy(zlib);
        return bench.create(zlib);
      },
    ],
    ["zstdCold", create(zstd, true)],
    ["zstdWarm", create(zstd, false)],
  ];
  for (let run = 0; run < runs; run += 1)
    for (const [measured, method] of methods) note(measured, await method());
}
