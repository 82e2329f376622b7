import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { openHost } from "../../providers/host/effects/host.ts";
import { renderEnsureEntry } from "../../providers/image-volume/core/commands.ts";
import { cacheLayout } from "../../providers/image-volume/core/layout.ts";
import { openObjectStore } from "../../providers/image-volume/effects/object-store.ts";
import * as provider from "../../providers/image-volume/provider.ts";
import { type ImageVolumeLab, rejects, type TestImage } from "../support/image-volume-lab.ts";
import { useImageVolumeLab } from "../support/image-volume-suite.ts";
import { freePort } from "../support/scratch.ts";
import { plainQcow2 } from "../support/volume-situations.ts";

describe("an image volume's object store", function () {
  this.timeout(120_000);
  let lab: ImageVolumeLab;

  useImageVolumeLab({ sizeMiB: 512 }, (made) => {
    lab = made;
  });

  const onImage = <Value>(
    image: { key: string },
    request: { path: string; method: string },
    value: Value,
  ): Value | undefined =>
    request.path === `/images/${image.key}` && request.method === "GET" ? value : undefined;

  const endpoint = (text: string, image: TestImage): Record<string, unknown> =>
    lab.args(image, { image: { endpoint: text, bucket: "images", key: image.key } });

  describe("checksums", () => {
    for (const [form, sidecar] of Object.entries({
      "a digest alone": (digest: string) => digest,
      "upper case and CRLF": (digest: string) => `${digest.toUpperCase()}  image.qcow2\r\n`,
      "the line of another file before it": (digest: string) =>
        `${"0".repeat(64)}  other.img\n${digest} *named.qcow2\n`,
    }))
      it(`#3 understands ${form}`, async () => {
        const key = form.startsWith("the line") ? { key: "named.qcow2" } : {};
        const image = await lab.image({ sidecar, ...key });
        const { plan } = await lab.check(lab.args(image));
        assert.equal((plan as { digest: string }).digest, image.digest);
      });

    for (const [form, sidecar] of Object.entries<() => string>({
      "64 characters that are no digits": () => "z".repeat(64),
      "a path": () => "../../etc/passwd",
      "a megabyte of digits": () => "0".repeat(2 ** 20),
      nothing: () => " ",
    }))
      it(`#4 refuses ${form} as a checksum`, async () => {
        const image = await lab.image({ sidecar });
        await rejects(lab.check(lab.args(image)), "bad-sidecar", /\.sha256/);
      });

    it("#1 refuses an image that has none, and says what to do", async () => {
      const image = await lab.image({ sidecar: null });
      await rejects(
        lab.check(lab.args(image)),
        "image-without-checksum",
        /Upload the output of `sha256sum` as .*\.sha256, or set sha256/,
      );
    });

    for (const [status, code] of [
      [403, "image-forbidden"],
      [500, "object-store-failed"],
    ] as const)
      it(`#2 does not take an answer of ${String(status)} for a missing checksum`, async () => {
        const image = await lab.image();
        lab.front.fault = ({ path }) => (path.endsWith(".sha256") ? { status } : undefined);
        await rejects(lab.check(lab.args(image)), code, /checksum/);
      });

    it("goes by a digest that is pinned, whatever the checksum beside the image says", async () => {
      const image = await lab.image({ sidecar: () => "0".repeat(64) });
      const args = lab.args(image);
      const pinned = { ...args, image: { ...(args["image"] as object), sha256: image.digest } };
      const made = await lab.create(pinned);
      assert.equal((made.inputs["plan"] as { digestSource: string }).digestSource, "pinned");
      lab.assertContent(lab.device(made), image);
    });
  });

  describe("fetching", () => {
    it("#5 refuses content that is not what its checksum says, once, and keeps nothing", async () => {
      const image = await lab.image({ sidecar: () => "1".repeat(64) });
      const before = lab.cacheFiles();
      await rejects(
        lab.create(lab.args(image)),
        "digest-mismatch",
        new RegExp(`${image.digest}.*${"1".repeat(64)}`),
      );
      assert.equal(lab.fetches(image).length, 1);
      assert.deepEqual(lab.cacheFiles(), before);
      assert.deepEqual(lab.group.volumes(), []);
    });

    it("#6 goes on where a connection broke", async () => {
      const image = await lab.image({ dataMiB: 8 });
      let cut = false;
      lab.front.fault = (request) =>
        cut || request.range === "bytes=0-4095"
          ? undefined
          : onImage(image, request, { cutAfterBytes: 3 * 2 ** 20 }) &&
            ((cut = true), { cutAfterBytes: 3 * 2 ** 20 });
      const made = await lab.create(lab.args(image));
      lab.assertContent(lab.device(made), image);
      const ranges = lab.fetches(image);
      assert.equal(ranges.length, 2);
      assert.match(String(ranges[1]), /^bytes=[1-9]\d*-$/);
    });

    it("#10 fetches in one piece from a server that cannot continue", async () => {
      const image = await lab.image({ dataMiB: 8 });
      let count = 0;
      lab.front.fault = (request) => {
        if (onImage(image, request, true) !== true || request.range === "bytes=0-4095") return;
        count += 1;
        return count === 1 ? { cutAfterBytes: 2 ** 20 } : { ignoreRange: true };
      };
      const made = await lab.create(lab.args(image));
      lab.assertContent(lab.device(made), image);
    });

    it("#9 asks again when the store is busy now and then", async () => {
      const image = await lab.image();
      const busy = new Map<string, number>();
      lab.front.fault = ({ method, path }) => {
        const count = busy.get(method + path) ?? 0;
        busy.set(method + path, count + 1);
        return count === 0 ? { status: 503 } : undefined;
      };
      const made = await lab.create(lab.args(image));
      lab.assertContent(lab.device(made), image);
    });

    it("#9 gives up when the store stays busy", async () => {
      const image = await lab.image();
      const inputs = await lab.check(lab.args(image));
      lab.front.fault = () => ({ status: 503 });
      await rejects(provider.create(inputs), "fetch-failed", /HTTP 503/);
      assert.ok(lab.front.seen.length < 12);
    });

    it("notices that the image is replaced while it is fetched", async () => {
      const image = await lab.image();
      const inputs = await lab.check(lab.args(image));
      lab.front.fault = (request) => onImage(image, request, { status: 412 });
      await rejects(provider.create(inputs), "image-changed", /was replaced/);
    });

    it("#11 fails at once for an image that is not there", async () => {
      await rejects(
        lab.check(lab.args({ key: "absent.qcow2" })),
        "image-without-checksum",
        /absent\.qcow2/,
      );
      await rejects(
        lab.check(
          lab.args(undefined, {
            image: {
              endpoint: lab.front.endpoint,
              bucket: "images",
              key: "absent.qcow2",
              sha256: "2".repeat(64),
            },
          }),
        ),
        "image-missing",
        /is not there/,
      );
      assert.ok(lab.front.seen.length <= 2, "it asked again and again");
    });

    it("#11 fails at once with wrong credentials, and shows none", async () => {
      const image = await lab.image();
      process.env["MINIO_ACCESS_KEY"] = "wrong-access-key";
      process.env["MINIO_SECRET_KEY"] = "wrong-secret-key";
      try {
        await assert.rejects(lab.check(lab.args(image)), (error: Error) => {
          assert.match(error.message, /the store refuses \(InvalidAccessKeyId\)/);
          assert.doesNotMatch(error.message, /wrong-secret-key/);
          return true;
        });
        assert.equal(lab.front.seen.length, 1);
      } finally {
        Reflect.deleteProperty(process.env, "MINIO_ACCESS_KEY");
        Reflect.deleteProperty(process.env, "MINIO_SECRET_KEY");
      }
    });

    it("says that credentials are missing", async () => {
      const image = await lab.image();
      const file = process.env["GROUNDWORK_OBJECT_STORE_CREDENTIALS"];
      Reflect.deleteProperty(process.env, "GROUNDWORK_OBJECT_STORE_CREDENTIALS");
      try {
        await rejects(lab.check(lab.args(image)), "object-store-credentials", /make -s env/);
      } finally {
        process.env["GROUNDWORK_OBJECT_STORE_CREDENTIALS"] = file;
      }
    });

    it("#11 does not know the plan while the store cannot be reached, and then fails at once", async () => {
      const image = await lab.image();
      for (const url of [
        `http://127.0.0.1:${String(await freePort())}`,
        "http://store.invalid:9000",
      ]) {
        const inputs = await lab.check(endpoint(url, image));
        assert.equal((inputs["plan"] as { cache: string }).cache, "unknown");
        await rejects(provider.create(inputs), "object-store-unreachable", /cannot be reached/);
      }
    });

    it("#13 refuses a presigned URL that has expired without showing it", async () => {
      const image = await lab.image();
      const url = (await lab.minio.client.presignedGetObject("images", image.key, 1)).replace(
        lab.minio.endpoint,
        lab.front.endpoint,
      );
      await new Promise((resolve) => setTimeout(resolve, 2100));
      const printed = await openHost("qemu:///system").run(lab.fetchScript(image, url), {
        purpose: "fetch",
      });
      assert.match(printed, /^@fail image-forbidden 403$/m);
      assert.doesNotMatch(printed, /X-Amz/);
    });

    it("#17 fetches once for many volumes of this run and of others", async () => {
      const image = await lab.image({ dataMiB: 8 });
      const store = openObjectStore(lab.minio.credentials);
      const url = await store.presign({
        endpoint: lab.front.endpoint,
        bucket: "images",
        key: image.key,
      });
      lab.front.fault = (request) => onImage(image, request, { bytesPerSecond: 8 * 2 ** 20 });
      const other = lab.fetchScript(image, url);
      const [one, two] = await Promise.all([
        lab.create(lab.args(image)),
        lab.create(lab.args(image)),
        openHost("qemu:///system").run(other, { purpose: "fetch" }),
        openHost("qemu:///system").run(other, { purpose: "fetch" }),
      ]);
      lab.assertContent(lab.device(one), image);
      lab.assertContent(lab.device(two), image);
      assert.equal(lab.fetches(image).length, 1);
    });

    it("#14 removes its temporary file when the disk is full, and keeps the other entries", async () => {
      const image = await lab.image({ dataMiB: 8 });
      const small = await lab.image({ dataMiB: 2 });
      const cache = `${lab.group.folder}/tiny`;
      fs.mkdirSync(cache);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=6m", "tmpfs", cache]);
      process.env["GROUNDWORK_IMAGE_CACHE"] = cache;
      try {
        await lab.create(lab.args(small));
        const inputs = await lab.check(lab.args(image));
        assert.match(
          String((inputs["plan"] as { obstacle?: string }).obstacle),
          /the cache has room/,
        );
        await rejects(provider.create(inputs), "cache-disk-full", /Free space/);
        // Something else fills the disk once the fetch has begun.
        const source = { url: await lab.minio.client.presignedGetObject("images", image.key, 60) };
        const { digest, bytes } = image;
        const script = renderEnsureEntry({
          cache: cacheLayout(cache),
          digest,
          bytes,
          format: plainQcow2,
          source,
        });
        const printed = await openHost("qemu:///system").run(
          script.replace(/^ {2}free=.*$/m, "  free=999999999999"),
          { purpose: "fetch" },
        );
        assert.match(printed, /^@fail cache-disk-full/m);
        assert.deepEqual(
          fs.readdirSync(cache).filter((name) => !name.endsWith(".lock")),
          [`${small.digest}.${String(small.bytes)}.image`],
        );
      } finally {
        process.env["GROUNDWORK_IMAGE_CACHE"] = lab.cache;
        execFileSync("umount", [cache]);
      }
    });
  });
});
