import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { ImageVolumeLab, type TestImage } from "../support/image-volume-lab.ts";
import { requireNeeds } from "../support/needs.ts";
import { PulumiProject } from "../support/pulumi-project.ts";

describe("an image volume under Pulumi", function () {
  this.timeout(300_000);
  let lab: ImageVolumeLab;
  let project: PulumiProject;
  let image: TestImage;
  let args: Record<string, unknown>;
  let cleanUp = (): void => undefined;

  const declare = (more: Record<string, unknown> = {}, options = "{}", name = "root"): void => {
    project.program(
      { ImageVolume: "providers/image-volume/resource.ts" },
      `const volume = new ImageVolume("${name}", ${JSON.stringify({ ...args, ...more })}, ${options});
       export const { devicePath, digest, volumeUuid } = volume;`,
    );
  };

  before(async function () {
    requireNeeds(this, ["root", "loop", "lvm", "qemu", "minio", "curl", "pulumi"]);
    lab = await ImageVolumeLab.make({ sizeMiB: 1024 });
    cleanUp = () => {
      lab.remove();
    };
    project = new PulumiProject(lab.variables());
    cleanUp = () => {
      project.remove();
      lab.remove();
    };
    image = await lab.image({ dataMiB: 8 });
    args = lab.args(image);
    declare();
    await project.succeed("stack", "init", "test");
  });

  after(() => {
    cleanUp();
  });

  const device = (): string => `/dev/${lab.group.name}/${String(args["volumeName"])}`;
  const clearCache = (): void => {
    fs.rmSync(lab.cache, { recursive: true, force: true });
  };
  const removeByHand = (): void => {
    const { group } = lab;
    group.bash(group.commands.remove(group.name, String(args["volumeName"])));
  };

  it("#37 shows in preview what an up will fetch and write, and changes nothing", async () => {
    const before = lab.snapshot();
    const shown = await project.succeed("preview", "--diff");
    assert.match(shown, /cache\s*: "miss"/);
    assert.match(shown, new RegExp(`bytesToFetch\\s*: ${String(image.bytes)}\\b`));
    assert.match(shown, /devicePath\s*: "\/dev\//);
    assert.equal(lab.snapshot(), before);
  });

  it("#38 makes the volume, and then sees nothing to do", async () => {
    await project.succeed("up", "--yes", "--skip-preview");
    lab.assertContent(device(), image);
    const before = lab.snapshot();
    await project.succeed("preview", "--expect-no-changes");
    await project.succeed("up", "--yes", "--expect-no-changes");
    await project.succeed("refresh", "--yes", "--expect-no-changes");
    assert.equal(lab.snapshot(), before);
  });

  it("keeps no secret in the state", async () => {
    const exported = await project.succeed("stack", "export", "--show-secrets");
    const text = exported + project.stateFiles();
    assert.ok(text.includes(image.digest));
    const { accessKey, secretKey } = lab.minio.credentials;
    for (const secret of [accessKey, secretKey, "X-Amz"]) assert.ok(!text.includes(secret));
  });

  it("#35 shows that volume and cache are gone, and what bringing them back costs", async () => {
    removeByHand();
    clearCache();
    const refreshed = await project.succeed("refresh", "--yes", "--diff");
    assert.match(refreshed, /1 deleted/);
    const shown = await project.succeed("preview", "--diff");
    assert.match(shown, /cache\s*: "miss"/);
    assert.match(shown, new RegExp(`bytesToFetch\\s*: ${String(image.bytes)}\\b`));
    await project.succeed("up", "--yes", "--skip-preview");
    lab.assertContent(device(), image);
  });

  it("shows a hit and nothing to fetch when only the volume is gone", async () => {
    removeByHand();
    await project.succeed("refresh", "--yes");
    const shown = await project.succeed("preview", "--diff");
    assert.match(shown, /cache\s*: "hit"/);
    assert.match(shown, /bytesToFetch\s*: 0\b/);
    await project.succeed("up", "--yes", "--skip-preview");
    lab.assertContent(device(), image);
  });

  it("#35 shows in a refresh that the cache was emptied, which is no reason to do anything", async () => {
    clearCache();
    const lost = /the host's cache no longer has its image \(cache: "miss"\)/;
    assert.match(await project.succeed("preview", "--expect-no-changes"), lost);
    assert.match(await project.succeed("refresh", "--yes"), lost);
    assert.doesNotMatch(await project.succeed("preview", "--expect-no-changes"), lost);
  });

  it("#27 shows that the volume has been grown by hand", async () => {
    const { group } = lab;
    group.bash(group.commands.extend(group.name, String(args["volumeName"]), 256 * 2 ** 20));
    const refreshed = await project.succeed("refresh", "--yes", "--diff");
    assert.match(refreshed, /sizeGiB\s*: 0\.125 => 0\.25/);
    declare({ sizeGiB: 0.25 });
    await project.succeed("preview", "--expect-no-changes");
  });

  it("says what is wrong with a smaller size in one paragraph", async () => {
    declare({ sizeGiB: 0.125 });
    const result = await project.pulumi("preview");
    assert.notEqual(result.exitCode, 0);
    assert.match(result.all, /has 256 MiB and would shrink to 128 MiB, losing data/);
    assert.doesNotMatch(result.all, /^\s+at .*:\d+:\d+/m);
    declare({ sizeGiB: 0.25 });
  });

  it("grows in place, with the device's path and the digest known in preview", async () => {
    declare({ sizeGiB: 0.375 });
    const shown = await project.succeed("preview", "--diff");
    assert.match(shown, /~ groundwork:ImageVolume|~ .*ImageVolume.*update/);
    assert.doesNotMatch(shown, /(devicePath|digest).*output</);
    const uuid = await project.succeed("stack", "output", "volumeUuid");
    await project.succeed("up", "--yes", "--skip-preview");
    assert.equal(await project.succeed("stack", "output", "volumeUuid"), uuid);
    lab.assertContent(device(), image);
  });

  it("keeps the volume when the resource gets another name, with an alias", async () => {
    const before = lab.snapshot();
    declare({ sizeGiB: 0.375 }, '{ aliases: [{ name: "root" }] }', "system");
    await project.succeed("up", "--yes", "--skip-preview");
    assert.equal(lab.snapshot(), before);
    declare({ sizeGiB: 0.375 }, "{}", "system");
    await project.succeed("preview", "--expect-no-changes");
  });

  it("removes the volume with the stack", async () => {
    await project.succeed("destroy", "--yes", "--skip-preview");
    assert.deepEqual(lab.group.volumes(), []);
  });

  it("takes over with adopt a volume that nobody manages", async () => {
    const { group } = lab;
    group.bash(
      group.commands.create(group.name, String(args["volumeName"]), 384 * 2 ** 20),
      `head -c 8192 /dev/urandom | tee ${group.folder}/before >${device()}`,
    );
    declare({ sizeGiB: 0.375, adopt: true });
    await project.succeed("up", "--yes", "--skip-preview");
    assert.equal(spawnSync("cmp", ["-n", "8192", `${group.folder}/before`, device()]).status, 0);
    await project.succeed("preview", "--expect-no-changes");
    await project.succeed("destroy", "--yes", "--skip-preview");
  });

  it("#32 is made by the next up when Pulumi is killed while it fetches", async () => {
    clearCache();
    declare();
    lab.front.fault = ({ range, path: requested }) =>
      range === "bytes=0-4095" || requested.endsWith(".sha256")
        ? undefined
        : { bytesPerSecond: 2 ** 20 };
    const up = project.pulumi("up", "--yes", "--skip-preview");
    const partial = path.join(lab.cache, `${image.digest}.part`);
    const ended = up.then(({ all }) => assert.fail(`it ended before it fetched: ${all}`));
    const fetching = async (): Promise<void> => {
      while (!fs.existsSync(partial) || fs.statSync(partial).size < 2 ** 20)
        await new Promise((resolve) => setTimeout(resolve, 50));
    };
    await Promise.race([fetching(), ended]);
    ended.catch(() => undefined); // from here on it shall end
    up.kill("SIGKILL");
    assert.equal((await up).signal, "SIGKILL");
    lab.front.fault = () => undefined;
    await project.succeed("cancel", "--yes");
    await project.succeed("up", "--yes", "--skip-preview");
    lab.assertContent(device(), image);
    assert.deepEqual(lab.group.volumes(), [args["volumeName"]]);
    assert.deepEqual(lab.cacheFiles().others, []);
    await project.succeed("preview", "--expect-no-changes");
    await project.succeed("destroy", "--yes", "--skip-preview");
  });
});
