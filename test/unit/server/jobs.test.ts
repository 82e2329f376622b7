import * as assert from "node:assert/strict";
import {
  applyReport,
  describeJob,
  expired,
  type Job,
  parseImageUrl,
  parseWork,
  progressOf,
  recoverJob,
  startable,
} from "../../../server/core/jobs.ts";

const image = { endpoint: "http://store:9000", bucket: "images", key: "debian.qcow2" };
const job = (id: number, more: Partial<Job> = {}): Job => ({
  id: `00000000-0000-4000-8000-00000000000${String(id)}`,
  work: { kind: "provision", image, volumeName: `vm${String(id)}-root`, sizeGiB: 1 },
  status: "pending",
  createdAt: `2026-01-01T00:00:0${String(id)}.000Z`,
  updatedAt: `2026-01-01T00:00:0${String(id)}.000Z`,
  ...more,
});

describe("jobs of the provision server", () => {
  it("start oldest first, a few at once, and one for each volume", () => {
    const jobs = [job(3), job(1, { status: "running" }), job(2), job(4, { status: "completed" })];
    const ids = (chosen: Job[]): string[] => chosen.map(({ id }) => id.slice(-1));
    assert.deepEqual(ids(startable(jobs, 2)), ["2"]);
    assert.deepEqual(ids(startable(jobs, 9)), ["2", "3"]);
    assert.deepEqual(ids(startable(jobs, 1)), []);
    const { work } = job(1);
    assert.deepEqual(ids(startable([...jobs, job(5, { work })], 9)), ["2", "3"]);
    const prewarm = { kind: "prewarm" as const, image };
    const two = [job(6, { work: prewarm }), job(7, { work: prewarm })];
    assert.deepEqual(ids(startable(two, 9)), ["6", "7"]);
  });

  it("that were running are started again, without the progress they had", () => {
    const progress = {
      ...{ stage: "downloading" as const, percent: 5 },
      bytes_processed: 1,
      bytes_total: 20,
    };
    assert.deepEqual(recoverJob(job(1, { status: "running", progress })), job(1));
    const ended = job(1, { status: "failed", error: "why" });
    assert.equal(recoverJob(ended), ended);
  });

  it("take in what their worker reports", () => {
    const later = "2026-01-02T00:00:00.000Z";
    const found = applyReport(
      job(1, { status: "running" }),
      { kind: "found", cacheHit: true, generation: 3 },
      later,
    );
    assert.equal(recoverJob(found).generation, 3, "done once more, it writes nothing anew");
    const done = applyReport(found, { kind: "completed", imagePath: "/cache/x" }, later);
    assert.deepEqual(describeJob(done), {
      ...{ job_id: done.id, status: "completed", cache_hit: true, image_path: "/cache/x" },
      progress: { ...{ stage: "finalizing", percent: 100 }, bytes_processed: 0, bytes_total: 0 },
      ...{ created_at: job(1).createdAt, updated_at: later },
    });
    const failed = applyReport(found, { kind: "failed", error: "why" }, later);
    assert.deepEqual([failed.status, failed.error], ["failed", "why"]);
  });

  it("that ended are forgotten, but for the newest", () => {
    const jobs = [1, 2, 3].map((id) => job(id, { status: "completed" }));
    assert.deepEqual(expired([...jobs, job(0)], 2), [jobs[0]]);
  });

  it("tell bytes where they are known, else per cent", () => {
    assert.deepEqual(progressOf({ kind: "fetch", value: 25, total: 100 }), {
      ...{ stage: "downloading", percent: 25, bytes_processed: 25, bytes_total: 100 },
    });
    assert.deepEqual(progressOf({ kind: "convert", value: 12.5 }), {
      ...{ stage: "converting", percent: 12.5, bytes_processed: 0, bytes_total: 0 },
    });
  });
});

describe("parseImageUrl", () => {
  it("reads store, bucket and object", () => {
    assert.deepEqual(parseImageUrl("https://store.example.org/images/a%20b/debian.qcow2"), {
      ...{ endpoint: "https://store.example.org", bucket: "images", key: "a b/debian.qcow2" },
    });
  });

  for (const [text, seen] of [
    ["debian.qcow2", /is not a URL/],
    ["ftp://store/images/a", /endpoint/],
    ["http://store/images", /key/],
    ["http://store/images/%2e%2e/a", /bucket/],
    ["http://store/images/a%zz", /not well-formed/],
    ["http://user:secret@store/images/a", /user name/],
    ["http://store/images/a?X-Amz-Signature=secret", /query/],
  ] as const)
    it(`refuses ${text}`, () => {
      assert.throws(
        () => parseImageUrl(text),
        ({ message }: Error) => seen.test(message) && !message.includes("secret"),
      );
    });
});

describe("parseWork", () => {
  it("is a prewarm without a volume", () => {
    const image_url = "http://store:9000/images/debian.qcow2";
    assert.deepEqual(parseWork({ image_url }), { kind: "prewarm", image });
    assert.deepEqual(parseWork({ image_url, volume_name: "a", volume_size_gb: 2 }), {
      ...{ kind: "provision", image, volumeName: "a", sizeGiB: 2 },
    });
  });

  it("refuses names that LVM would not take", () => {
    const image_url = "http://store:9000/images/debian.qcow2";
    for (const volume_name of ["-f", "a b", "..", "snapshot1", "a;b", "a/b"])
      assert.throws(() => parseWork({ image_url, volume_name, volume_size_gb: 1 }), /volumeName/);
  });
});
