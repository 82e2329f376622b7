import * as assert from "node:assert/strict";
import { execa } from "execa";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openHost } from "../../providers/host/effects/host.ts";
import type { PlanSummary } from "../../providers/image-volume/core/summary.ts";
import * as provider from "../../providers/image-volume/provider.ts";
import { type FaultFront, startFaultFront } from "../support/fault-front.ts";
import {
  type ImageVolumeLab,
  isFetch,
  rejects,
  type TestImage,
} from "../support/image-volume-lab.ts";
import { useImageVolumeLab } from "../support/image-volume-suite.ts";
import { makePrivateCa } from "../support/private-ca.ts";

const program = path.resolve(import.meta.dirname, "../support/create-volume.ts");

describe("an image volume and a store that changes, lacks or forges something", function () {
  this.timeout(120_000);
  let lab: ImageVolumeLab;

  useImageVolumeLab({ sizeMiB: 512, needs: ["openssl"] }, (made) => {
    lab = made;
  });

  const planOf = (inputs: Record<string, unknown>): PlanSummary => inputs["plan"] as PlanSummary;

  it("#2 does not take silence for a missing checksum", async () => {
    const image = await lab.image();
    const args = lab.args(image);
    lab.front.fault = ({ path: at }) => (at.endsWith(".sha256") ? { hang: true } : undefined);
    const [inputs] = await Promise.all([
      lab.check(args),
      rejects(provider.create(args), "object-store-unreachable", /checksum.*no answer for 15 s/),
    ]);
    assert.deepEqual(planOf(inputs), { cache: "unknown", digestSource: "sidecar" });
    assert.deepEqual(lab.group.volumes(), []);
  });

  it("#7 mixes nothing when the object is replaced while it is fetched", async () => {
    const image = await lab.image({ dataMiB: 8 });
    const args = lab.args(image);
    const inputs = await lab.check(args);
    let replacing: Promise<TestImage> | undefined;
    lab.front.fault = (request) => {
      if (replacing !== undefined || !isFetch(image, request)) return;
      replacing = lab.image({ dataMiB: 8, key: image.key });
      return { bytesPerSecond: 2 ** 20, cutAfterBytes: 3 * 2 ** 20 };
    };
    await rejects(provider.create(inputs), "image-changed", /was replaced/);
    assert.deepEqual(lab.group.volumes(), []);
    const next = await replacing;
    assert.ok(next !== undefined && next.digest !== image.digest);
    const made = await lab.create(args);
    assert.equal(made.outs["digest"], next.digest);
    lab.assertContent(lab.device(made), next);
  });

  it("#8 writes no new content under an old name that no checksum vouches for", async () => {
    const image = await lab.image();
    await lab.create(lab.args(image));
    const stale = `${image.digest}  ${image.key}\n`;
    const next = await lab.image({ key: image.key, sidecar: () => stale });
    assert.notEqual(next.digest, image.digest);
    // What the checksum names is in the cache; the new object is not taken for it.
    const hit = await lab.create(lab.args(image));
    assert.equal(hit.outs["digest"], image.digest);
    fs.rmSync(lab.cache, { recursive: true });
    await sleep(5500); // what the store said of an object counts for 5 s
    await rejects(lab.create(lab.args(image)), "digest-mismatch", new RegExp(next.digest));
    await lab.minio.client.removeObject("images", `${image.key}.sha256`);
    await sleep(5500);
    await rejects(lab.check(lab.args(image)), "image-without-checksum", /nothing says what it/);
  });

  it("#10 begins anew when the store refuses to continue (416)", async () => {
    const image = await lab.image({ dataMiB: 8 });
    let count = 0;
    lab.front.fault = (request) => {
      if (!isFetch(image, request)) return;
      count += 1;
      if (count === 1) return { cutAfterBytes: 2 ** 20 };
      return count === 2 ? { status: 416 } : undefined;
    };
    lab.assertContent(lab.device(await lab.create(lab.args(image))), image);
  });

  it("#10 fetches from a store that knows no HEAD", async () => {
    const image = await lab.image();
    lab.front.fault = ({ method }) => (method === "HEAD" ? { status: 405 } : undefined);
    const made = await lab.create(lab.args(image));
    assert.equal(planOf(made.inputs).bytesToFetch, image.bytes);
    lab.assertContent(lab.device(made), image);
  });

  describe("over TLS", () => {
    let front: FaultFront | undefined;

    afterEach(() => {
      front?.stop();
    });

    const secured = async (address?: string): Promise<{ ca: string; endpoint: string }> => {
      const ca = makePrivateCa(lab.group.folder, address);
      front = await startFaultFront(lab.minio.endpoint, ca.server);
      return { ca: ca.file, endpoint: front.endpoint };
    };
    const argsAt = (endpoint: string, image: TestImage): Record<string, unknown> =>
      lab.args(image, { image: { endpoint, bucket: "images", key: image.key } });

    /** `create` in a process that trusts the authority, as do the tools it starts. */
    const createTrusting = (ca: string, args: Record<string, unknown>) =>
      execa(process.execPath, ["--import=tsx", program, JSON.stringify(args)], {
        reject: false,
        env: { NODE_EXTRA_CA_CERTS: ca, CURL_CA_BUNDLE: ca },
      });

    it("#12 asks no store whose authority it does not know", async () => {
      const image = await lab.image();
      const { endpoint } = await secured();
      await assert.rejects(lab.check(argsAt(endpoint, image)), /UNABLE_TO_VERIFY|SELF_SIGNED/);
      assert.deepEqual(front?.seen, []);
    });

    it("#12 has the hypervisor fetch from no store whose authority that does not know", async () => {
      const image = await lab.image();
      const { endpoint } = await secured();
      const url = (await lab.minio.client.presignedGetObject("images", image.key, 60)).replace(
        lab.minio.endpoint,
        endpoint,
      );
      const printed = await openHost("qemu:///system").run(lab.fetchScript(image, url), {
        purpose: "fetch",
      });
      assert.match(printed, /^@fail fetch-failed curl ended with 60, /m);
      assert.deepEqual(front?.seen, []);
    });

    it("#12 believes no certificate that is for another store", async () => {
      const image = await lab.image();
      const { ca, endpoint } = await secured("DNS:store.example.org");
      const { exitCode, stderr } = await createTrusting(ca, argsAt(endpoint, image));
      assert.notEqual(exitCode, 0);
      assert.match(stderr, /ERR_TLS_CERT_ALTNAME_INVALID/);
      assert.deepEqual(front?.seen, []);
    });

    it("#12 fetches once the authority is known", async () => {
      const image = await lab.image();
      const { ca, endpoint } = await secured();
      const args = argsAt(endpoint, image);
      const { exitCode, stderr } = await createTrusting(ca, args);
      assert.equal(exitCode, 0, stderr);
      lab.assertContent(`/dev/${lab.group.name}/${String(args["volumeName"])}`, image);
    });
  });
});
