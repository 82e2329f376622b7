import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { unknownValue } from "../../../../providers/handler.ts";
import { readCredentials } from "../../../../providers/image-volume/effects/object-store.ts";
import { check, diff, read } from "../../../../providers/image-volume/provider.ts";
import { makeScratch } from "../../../support/scratch.ts";

const args = {
  hypervisorUri: "qemu+ssh://root@hv1.invalid/system",
  volumeGroup: "lab",
  volumeName: "vm1-root",
  sizeGiB: 4,
  owner: "p/s",
  image: { endpoint: "http://store.invalid:9000", bucket: "images", key: "debian.qcow2" },
};

describe("an image volume's check", () => {
  const wrong: [string, object, RegExp][] = [
    ["a name with a leading dash", { volumeName: "-rf" }, /^volumeName: /],
    ["a name that climbs", { volumeGroup: ".." }, /^volumeGroup: /],
    ["a name that LVM keeps for itself", { volumeName: "a_tdata" }, /LVM keeps/],
    ["no size", { sizeGiB: 0 }, /^sizeGiB: must be more than 0/],
    ["a size in text", { sizeGiB: "4" }, /^sizeGiB: /],
    ["an owner that is no stack", { owner: "me" }, /<project>\/<stack>/],
    ["an owner that is no tag", { owner: "p/s,groundwork.state=populated" }, /^owner: /],
    ["a way to wipe that nobody knows", { wipe: "shred" }, /^wipe: .*"discard"\|"zero"\|"none"/],
    ["an argument that nobody knows", { sizeGB: 4 }, /sizeGB/],
    [
      "an endpoint with a path",
      { image: { ...args.image, endpoint: "http://a/b" } },
      /^image\.endpoint: /,
    ],
    [
      "an endpoint with a password",
      { image: { ...args.image, endpoint: "http://u:p@a" } },
      /^image\.endpoint: /,
    ],
    ["an object that climbs", { image: { ...args.image, key: "../a" } }, /^image\.key: /],
    ["a digest that is none", { image: { ...args.image, sha256: "abc" } }, /^image\.sha256: /],
  ];
  for (const [title, change, says] of wrong)
    it(`refuses ${title}`, async () => {
      const { failures } = await check({}, { ...args, ...change });
      assert.equal(failures.length, 1, JSON.stringify(failures));
      assert.match(failures[0]?.reason ?? "", says);
    });

  it("tells all that is wrong at once", async () => {
    const { failures } = await check({}, { ...args, sizeGiB: -1, volumeName: "a b", owner: "" });
    assert.equal(failures.length, 3);
  });

  it("asks nobody while an argument is not known yet", async () => {
    const { inputs, failures } = await check({}, { ...args, hypervisorUri: unknownValue });
    assert.deepEqual(failures, []);
    assert.deepEqual(inputs["plan"], { cache: "unknown", digestSource: "unknown" });
  });

  it("knows a digest that its plan knows, so that preview shows no domain made anew for it", async () => {
    const sha256 = "a".repeat(64);
    const pinned = await check({}, { ...args, image: { ...args.image, sha256 } });
    assert.equal(pinned.inputs["digest"], sha256);
    assert.ok(!("digest" in (await check({}, args)).inputs));
  });
});

describe("an image volume's diff", () => {
  const state = { ...args, digest: "a".repeat(64), plan: { digest: "a".repeat(64) } };

  it("counts what is not known yet as a change, and never as a replacement", async () => {
    const { changes, replaces } = await diff("lab/vm1-root", state, {
      ...state,
      volumeGroup: unknownValue,
    });
    assert.deepEqual({ changes, replaces }, { changes: true, replaces: [] });
  });

  it("removes the old volume first when another URI may lead to the same machine", async () => {
    const next = { ...state, hypervisorUri: "qemu:///system" };
    const { replaces, deleteBeforeReplace } = await diff("lab/vm1-root", state, next);
    assert.deepEqual(
      { replaces, deleteBeforeReplace },
      {
        replaces: ["hypervisorUri"],
        deleteBeforeReplace: true,
      },
    );
  });
});

describe("an image volume's read", () => {
  it("says how to take over a volume when it is asked to import one", async () => {
    await assert.rejects(read("lab/vm1-root", {}), /adopt: true/);
  });
});

describe("readCredentials", () => {
  const scratch = makeScratch("credentials");
  const file = path.join(scratch.folder, "credentials.json");
  fs.writeFileSync(file, JSON.stringify({ accessKey: "from-file", secretKey: "s" }));
  after(() => {
    scratch.remove();
  });

  it("takes the environment before the file", () => {
    const env = {
      MINIO_ACCESS_KEY: "a",
      MINIO_SECRET_KEY: "b",
      GROUNDWORK_OBJECT_STORE_CREDENTIALS: file,
    };
    assert.deepEqual(readCredentials(env), { accessKey: "a", secretKey: "b" });
    const { MINIO_ACCESS_KEY, GROUNDWORK_OBJECT_STORE_CREDENTIALS } = env;
    const half = { MINIO_ACCESS_KEY, GROUNDWORK_OBJECT_STORE_CREDENTIALS };
    assert.equal(readCredentials(half).accessKey, "from-file");
  });

  it("says what is missing or wrong", () => {
    assert.throws(() => readCredentials({}), /no credentials in the environment/);
    assert.throws(
      () => readCredentials({ GROUNDWORK_OBJECT_STORE_CREDENTIALS: "/does/not/exist" }),
      /\/does\/not\/exist cannot be read/,
    );
  });
});
