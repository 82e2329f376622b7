import * as assert from "node:assert/strict";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Properties } from "../../providers/handler.ts";
import type { PlanSummary } from "../../providers/image-volume/core/summary.ts";
import * as provider from "../../providers/image-volume/provider.ts";
import { type ImageVolumeLab, rejects, type TestImage } from "../support/image-volume-lab.ts";
import { useImageVolumeLab } from "../support/image-volume-suite.ts";

describe("an image volume whose image nothing vouches for, with allowUnverified", function () {
  this.timeout(120_000);
  let lab: ImageVolumeLab;
  let written: string[] = [];
  const log = console.log;

  useImageVolumeLab({ sizeMiB: 768 }, (made) => {
    lab = made;
  });
  beforeEach(() => {
    written = [];
    console.log = (line: string) => {
      written.push(line);
      log(line);
    };
  });
  afterEach(() => {
    console.log = log;
  });

  const argsOf = (image: Pick<TestImage, "key">, more: Properties = {}): Properties => {
    const args = lab.args(image, more);
    return { ...args, image: { ...(args["image"] as object), allowUnverified: true } };
  };
  const planOf = (properties: Properties): PlanSummary => properties["plan"] as PlanSummary;
  /** How often the whole object was read by the program, which asks for no range. */
  const wholeReads = (image: TestImage): number =>
    lab.front.seen.filter(
      ({ method, path, range }) =>
        method === "GET" && path === `/images/${image.key}` && range === undefined,
    ).length;
  const warnings = (): number => written.filter((line) => line.includes("nothing vouches")).length;
  /** What the store said of an object counts for 5 s. */
  const forget = (): Promise<void> => sleep(5100);

  it("#1 takes it as the store holds it, warns each time, and records that nothing vouched", async () => {
    const image = await lab.image({ sidecar: null });
    const args = argsOf(image);
    const made = await lab.create(args);
    lab.assertContent(lab.device(made), image);
    for (const plan of [planOf(made.inputs), planOf(made.outs)]) {
      assert.deepEqual([plan.digestSource, plan.digest], ["url", image.digest]);
      assert.match(plan.urlKey ?? "", /^[0-9a-f]{64}$/);
    }
    assert.equal(planOf(made.inputs).cache, "miss");
    assert.equal(warnings(), 1);
    assert.ok(written.some((line) => line.includes(image.digest)));

    await forget();
    const again = await lab.update(made, args);
    assert.equal(again.changed, false);
    assert.equal(warnings(), 2);
    const plan = planOf(await lab.check(args, made.inputs));
    assert.deepEqual([plan.digestSource, plan.cache], ["url", "hit"]);
    const { inputs = {} } = await provider.read(made.id, made.outs);
    assert.deepEqual(
      [planOf(inputs).digestSource, planOf(inputs).urlKey],
      ["url", planOf(made.inputs).urlKey],
    );
  });

  it("#1 reads the object no second time while its ETag is the same", async () => {
    const image = await lab.image({ sidecar: null });
    const args = argsOf(image);
    const inputs = await lab.check(args);
    const before = wholeReads(image);
    assert.ok(before >= 1);
    // A state from elsewhere: this process has read that object, but believes what the state says.
    const told = { ...planOf(inputs), digest: "d".repeat(64) };
    await forget();
    const next = await lab.check(args, { ...inputs, plan: told });
    assert.equal(planOf(next).digest, told.digest);
    assert.equal(wholeReads(image), before);
    // And it is held to it: what the host fetches has another digest.
    await rejects(provider.create(next), "digest-mismatch", new RegExp(image.digest));
    assert.deepEqual(lab.group.volumes(), []);
    assert.deepEqual(lab.cacheFiles().others, []);
  });

  it("#8 detects new content under the old name by its ETag, and writes that", async () => {
    const image = await lab.image({ sidecar: null });
    const args = argsOf(image);
    const made = await lab.create(args);
    const next = await lab.image({ key: image.key, sidecar: null });
    await forget();
    const again = await lab.update(made, args);
    assert.equal(again.changed, true);
    assert.equal(planOf(again.inputs).digest, next.digest);
    assert.notEqual(planOf(again.inputs).urlKey, planOf(made.inputs).urlKey);
    lab.assertContent(lab.device(made), next);
  });

  it("#2 is no way around a checksum that cannot be read, nor around one that is there", async () => {
    const image = await lab.image({ sidecar: null });
    lab.front.fault = ({ path }) => (path.endsWith(".sha256") ? { status: 403 } : undefined);
    await rejects(lab.check(argsOf(image)), "image-forbidden", /refuses/);
    lab.front.fault = () => undefined;
    const other = await lab.image({ sidecar: () => "e".repeat(64) });
    const inputs = await lab.check(argsOf(other));
    assert.deepEqual(
      [planOf(inputs).digestSource, planOf(inputs).digest],
      ["sidecar", "e".repeat(64)],
    );
    await rejects(provider.create(inputs), "digest-mismatch", new RegExp(other.digest));
    assert.equal(warnings(), 0);
  });

  it("trusts no half of an object", async () => {
    const image = await lab.image({ sidecar: null, dataMiB: 8 });
    lab.front.fault = ({ method, path, range }) =>
      method === "GET" && path === `/images/${image.key}` && range === undefined
        ? { cutAfterBytes: 2 ** 20 }
        : undefined;
    const inputs = await lab.check(argsOf(image)).catch((error: unknown) => error as Error);
    const half = createHash("sha256").update(fs.readFileSync(image.file).subarray(0, 2 ** 20));
    assert.ok(!JSON.stringify(inputs).includes(half.digest("hex")));
    if (!(inputs instanceof Error)) assert.equal(planOf(inputs).cache, "unknown");
    lab.front.fault = () => undefined;
    await forget();
    assert.equal(planOf(await lab.check(argsOf(image))).digest, image.digest);
  });

  it("reports an object that is not there at all", async () => {
    await rejects(lab.check(argsOf({ key: "absent.qcow2" })), "image-missing", /absent/);
  });
});
