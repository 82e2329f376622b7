import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import { evictFromCache } from "../../providers/image-cache/effects/cache.ts";
import * as provider from "../../providers/image-cache/provider.ts";
import { forgetObservation } from "../../providers/image-volume/effects/hosts.ts";
import { ImageVolumeLab, rejects, type TestImage } from "../support/image-volume-lab.ts";
import { requireNeeds } from "../support/needs.ts";
import { PulumiProject } from "../support/pulumi-project.ts";
import { startSshd, type TestSshd } from "../support/sshd.ts";

describe("an image cache under Pulumi", function () {
  this.timeout(600_000);
  let lab: ImageVolumeLab;
  let sshd: TestSshd;
  let project: PulumiProject;
  let images: TestImage[];
  let cleanUp = (): void => undefined;

  const references = () =>
    images.map(({ key }) => ({ endpoint: lab.front.endpoint, bucket: "images", key }));
  const down = "qemu+ssh://root@127.0.0.1:1/system";

  before(async function () {
    requireNeeds(this, ["root", "loop", "lvm", "qemu", "minio", "curl", "sshd", "pulumi"]);
    lab = await ImageVolumeLab.make({ sizeMiB: 512 });
    cleanUp = () => {
      lab.remove();
    };
    sshd = await startSshd();
    project = new PulumiProject(lab.variables());
    cleanUp = () => {
      project.remove();
      sshd.stop();
      lab.remove();
    };
    images = [await lab.image({ dataMiB: 2 }), await lab.image({ dataMiB: 2 })];
    const args = { hypervisorUris: [lab.uri], images: references() };
    project.program(
      { ImageCache: "providers/image-cache/resource.ts" },
      `export const { plan } = new ImageCache("images", ${JSON.stringify(args)});`,
    );
    await project.succeed("stack", "init", "test");
  });

  after(() => {
    cleanUp();
  });

  const clear = (): void => {
    fs.rmSync(lab.cache, { recursive: true, force: true });
  };

  it("shows in preview what each host lacks, and changes nothing", async () => {
    const before = lab.snapshot();
    const shown = await project.succeed("preview", "--diff");
    for (const { bytes, key } of images) {
      assert.match(shown, new RegExp(`bytesToFetch\\s*: ${String(bytes)}\\b`));
      assert.match(shown, new RegExp(`image\\s*: "http://[^"]*/images/${key}"`));
    }
    assert.match(shown, /cache\s*: "miss"/);
    assert.doesNotMatch(shown, /cache\s*: "(hit|unknown)"/);
    assert.equal(lab.snapshot(), before);
  });

  it("fetches every image, and then has nothing to do", async () => {
    await project.succeed("up", "--yes", "--skip-preview");
    assert.equal(lab.cacheFiles().entries.length, 2);
    await project.succeed("up", "--yes", "--expect-no-changes");
  });

  it("shows an evicted entry in preview, and fetches that one alone", async () => {
    const [gone, stays] = images;
    assert.ok(gone && stays);
    await evictFromCache(lab.uri, { digests: [gone.digest] });
    const shown = await project.succeed("preview", "--diff");
    assert.match(shown, /"hit"\s*=>\s*"miss"/);
    lab.front.seen.length = 0;
    await project.succeed("up", "--yes", "--skip-preview");
    assert.equal(lab.cacheFiles().entries.length, 2);
    assert.ok(!lab.front.seen.some(({ path }) => path === `/images/${stays.key}`));
  });

  it("keeps no secret in the state, and leaves the entries when it goes", async () => {
    const exported = await project.succeed("stack", "export", "--show-secrets");
    const text = exported + project.stateFiles();
    assert.ok(text.includes(images[0]?.digest ?? "none"));
    const { accessKey, secretKey } = lab.minio.credentials;
    for (const secret of [accessKey, secretKey, "X-Amz"]) assert.ok(!text.includes(secret));
    await project.succeed("destroy", "--yes", "--skip-preview");
    assert.equal(lab.cacheFiles().entries.length, 2);
  });

  it("looks after several hosts; one that is down leaves the others alone", async () => {
    clear();
    const args = { hypervisorUris: [sshd.uri, down], images: references() };
    const { inputs } = await provider.check({}, args);
    const plan = inputs["plan"] as { hypervisorUri: string; cache: string }[];
    assert.deepEqual(
      plan.map(({ hypervisorUri, cache }) => [hypervisorUri, cache]),
      [sshd.uri, sshd.uri, down, down].map((uri) => [uri, uri === down ? "unknown" : "miss"]),
    );
    await rejects(provider.create(inputs), "images-not-cached", /to 1 of 2 hypervisors: /);
    assert.equal(lab.cacheFiles().entries.length, 2);
    forgetObservation(sshd.uri);
    const again = (await provider.check({}, args)).inputs["plan"] as { cache: string }[];
    assert.deepEqual(
      again.map(({ cache }) => cache),
      ["hit", "hit", "unknown", "unknown"],
    );
  });

  it("ends a preview whose image is not there", async () => {
    const image = { endpoint: lab.front.endpoint, bucket: "images", key: "none.qcow2" };
    const args = { hypervisorUris: [lab.uri], images: [image] };
    await rejects(provider.check({}, args), "image-without-checksum", /none\.qcow2/);
  });
});
