import * as assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { type ImageVolumeLab, isFetch, type TestImage } from "../support/image-volume-lab.ts";
import { useImageVolumeLab } from "../support/image-volume-suite.ts";
import { Server } from "../support/provision-server.ts";

const token = "0123456789abcdef0123456789abcdef";

describe("the provision server", function () {
  this.timeout(180_000);
  let lab: ImageVolumeLab;
  let server: Server;
  let hold = "";
  let image: TestImage;
  let folders = 0;

  const argsOf = (jobs: string): string[] => ["--volume-group", lab.group.name, "--jobs", jobs];
  const jobsFolder = (): string => {
    const folder = path.join(lab.group.folder, `jobs-${String((folders += 1))}`);
    return folder;
  };
  const request = (volume: string, of: Pick<TestImage, "key"> = image) => ({
    image_url: `${lab.front.endpoint}/images/${of.key}`,
    volume_name: volume,
    volume_size_gb: 1,
  });
  /** What still runs on the host for a job. */
  const remains = (): string =>
    spawnSync(
      "pgrep",
      ["-af", `${lab.cache}|tools/prlimit|(convert|perl|python3).*${lab.group.name}`],
      { encoding: "utf8" },
    ).stdout;

  after(async () => {
    await server.end("SIGTERM");
  });
  afterEach(() => {
    fs.rmSync(hold, { force: true });
    fs.rmSync(`${hold}.seen`, { force: true });
  });
  useImageVolumeLab({ sizeMiB: 4096 }, async (made) => {
    lab = made;
    // While the file "hold" is there, what writes an image waits first.
    hold = path.join(lab.group.folder, "hold");
    lab.interposeDecoder(`[ ! -e ${hold} ] || { touch ${hold}.seen; sleep 600; }`);
    image = await lab.image();
    server = await new Server(argsOf(jobsFolder())).ready();
  });

  it("writes an image onto a new volume, and anew onto the same one", async () => {
    const first = await server.done(
      await server.start({ ...request("web-root"), correlation_id: "order-7" }),
    );
    assert.deepEqual(
      { ...first, created_at: "", updated_at: "", progress: first.progress?.stage },
      {
        ...{ job_id: first.job_id, status: "completed", correlation_id: "order-7" },
        ...{ cache_hit: false, progress: "finalizing", created_at: "", updated_at: "" },
        image_path: `${lab.cache}/${image.digest}.${String(image.bytes)}.image`,
      },
    );
    const device = `/dev/${lab.group.name}/web-root`;
    lab.assertContent(device, image);
    execFileSync("dd", ["if=/dev/urandom", `of=${device}`, "bs=1M", "count=900", "status=none"]);
    const again = await server.done(await server.start(request("web-root")));
    assert.equal(again.status, "completed", again.error);
    assert.equal(again.cache_hit, true);
    lab.assertContent(device, image);
  });

  it("answers at the paths that libvirt-volume-provisioner has", async () => {
    const made = await server.ask("POST", "/api/v1/provision", request("old-root"));
    const id = String(made.body["job_id"]);
    await server.done(id);
    const { body } = await server.ask("GET", `/api/v1/status/${id}`);
    assert.equal(body["status"], "completed", String(body["error"]));
    const late = await server.ask("DELETE", `/api/v1/cancel/${id}`);
    assert.deepEqual([late.status, late.body["error"]], [400, "failed to cancel job"]);
  });

  it("ends what a job runs on the host before it says that it is cancelled", async () => {
    const slow = await lab.image({ dataMiB: 16 });
    lab.front.fault = (seen) => (isFetch(slow, seen) ? { bytesPerSecond: 2 ** 20 } : undefined);
    const fetching = await server.start(request("slow-root", slow));
    const seen = await server.until(fetching, ({ progress }) => (progress?.percent ?? 0) > 0);
    assert.equal(seen.progress?.stage, "downloading");
    assert.equal(seen.progress.bytes_total, slow.bytes);
    assert.match(remains(), /curl/);
    const cancelled = await server.ask("DELETE", `/api/v1/jobs/${fetching}`);
    assert.equal(remains(), "");
    assert.deepEqual(cancelled, { status: 200, body: { status: "cancelled", job_id: fetching } });

    fs.writeFileSync(hold, "");
    const converting = await server.start(request("held-root"));
    await server.until(converting, () => fs.existsSync(`${hold}.seen`));
    assert.match(remains(), /tools\/(qemu-img|prlimit)/);
    await server.ask("DELETE", `/api/v1/jobs/${converting}`);
    assert.equal(remains(), "");
    assert.equal((await server.job(converting)).status, "cancelled");
    assert.deepEqual(lab.group.volumes(), []);
  });

  it("goes on with its jobs after a kill and after a polite end", async () => {
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      const jobs = jobsFolder();
      const first = await new Server(argsOf(jobs)).ready();
      fs.writeFileSync(hold, "");
      const ids = await Promise.all(
        ["a-root", "b-root", "c-root"].map((volume) => first.start(request(volume))),
      );
      await first.until(ids[0] ?? "", () => fs.existsSync(`${hold}.seen`));
      const code = await first.end(signal);
      if (signal === "SIGTERM") assert.deepEqual([code, remains()], [0, ""]);
      fs.rmSync(hold);
      fs.rmSync(`${hold}.seen`);
      const second = await new Server(argsOf(jobs)).ready();
      for (const id of ids) {
        const job = await second.done(id);
        assert.equal(job.status, "completed", job.error);
      }
      for (const volume of ["a-root", "b-root", "c-root"])
        lab.assertContent(`/dev/${lab.group.name}/${volume}`, image);
      assert.equal(await second.end("SIGTERM"), 0);
      lab.removeVolumes();
    }
  });

  it("writes no volume a second time for a job whose end could not be saved", async () => {
    const jobs = jobsFolder();
    const first = await new Server(argsOf(jobs)).ready();
    const id = await first.start(request("once-root"));
    assert.equal((await first.done(id)).status, "completed");
    await first.end("SIGTERM");
    const file = path.join(jobs, `${id}.json`);
    const job = JSON.parse(fs.readFileSync(file, "utf8")) as Record<string, unknown>;
    fs.writeFileSync(file, JSON.stringify({ ...job, status: "running" }));
    const device = `/dev/${lab.group.name}/once-root`;
    lab.group.bash(`printf 'written since' | dd of=${device} conv=notrunc,fsync status=none`);
    const second = await new Server(argsOf(jobs)).ready();
    assert.equal((await second.done(id)).status, "completed");
    assert.equal(execFileSync("head", ["-c", "13", device], { encoding: "utf8" }), "written since");
    await second.end("SIGTERM");
    lab.removeVolumes();
  });

  it("lets one server only work on a folder of jobs", async () => {
    const jobs = jobsFolder();
    const one = await new Server(argsOf(jobs)).ready();
    const other = new Server(argsOf(jobs));
    assert.equal(await other.ended(), 1);
    assert.match(other.output, /Another server works on the jobs in/);
    await one.end("SIGTERM");
  });

  it("says what is wrong with a request, and does nothing", async () => {
    const bad: [unknown, RegExp][] = [
      [{ ...request("x"), volume_size_gb: 0 }, /volume_size_gb/],
      [{ ...request("x"), volume_name: "../../etc" }, /volumeName/],
      [{ ...request("x"), volume_name: "a;reboot" }, /volumeName/],
      [{ ...request("x"), image_url: "file:///etc/shadow" }, /image_url.*endpoint/s],
      [{ ...request("x"), image_url: "http://store/images/a.qcow2?X-Amz-Signature=1" }, /query/],
      [{ ...request("x"), image_type: "vmdk" }, /image_type/],
      [{}, /image_url/],
    ];
    for (const [body, text] of bad) {
      const { status, body: answer } = await server.ask("POST", "/api/v1/jobs", body);
      assert.equal(status, 400, JSON.stringify(answer));
      assert.match(String(answer["message"]), text);
    }
    const unknown = "00000000-0000-4000-8000-000000000000";
    assert.equal((await server.ask("GET", `/api/v1/jobs/${unknown}`)).status, 404);
    assert.equal((await server.ask("GET", "/api/v2")).status, 404);
  });

  it("fails a job that the plan refuses, telling why", async () => {
    const { status, error } = await server.done(
      await server.start(request("none-root", { key: "missing.qcow2" })),
    );
    assert.equal(status, "failed");
    assert.match(error ?? "", /missing\.qcow2/);
  });

  it("writes a volume that is not its own only with --adopt", async () => {
    const { group } = lab;
    group.bash(group.commands.create(group.name, "foreign-root", 2 ** 30, []));
    const refused = await server.done(await server.start(request("foreign-root")));
    assert.match(refused.error ?? "", /carries no owner of ours/);
    const adopting = await new Server([...argsOf(jobsFolder()), "--adopt"]).ready();
    const taken = await adopting.done(await adopting.start(request("foreign-root")));
    assert.equal(taken.status, "completed", taken.error);
    lab.assertContent(`/dev/${group.name}/foreign-root`, image);
    await adopting.end("SIGTERM");
  });

  it("lists, prewarms and evicts the cache", async () => {
    const fresh = await lab.image();
    const { body } = await server.ask("POST", "/api/v1/cache", {
      image_url: `${lab.front.endpoint}/images/${fresh.key}`,
    });
    const job = await server.done(String(body["job_id"]));
    assert.deepEqual([job.status, job.cache_hit], ["completed", false], job.error);
    const listed = async (): Promise<Record<string, unknown>[]> =>
      (await server.ask("GET", "/api/v1/cache")).body["files"] as Record<string, unknown>[];
    const entry = (await listed()).find(({ digest }) => digest === fresh.digest);
    assert.deepEqual([entry?.["state"], entry?.["bytes"]], ["whole", fresh.bytes]);
    const evicted = await server.ask("DELETE", `/api/v1/cache/${fresh.digest}`);
    assert.deepEqual(evicted, { status: 200, body: { digest: fresh.digest, bytes: fresh.bytes } });
    assert.ok((await listed()).every(({ digest }) => digest !== fresh.digest));
    assert.equal((await server.ask("DELETE", `/api/v1/cache/${fresh.digest}`)).status, 404);
  });

  it("tells its health, its metrics and its API", async () => {
    for (const at of ["/health", "/healthz", "/livez", "/readyz"])
      assert.equal((await server.ask("GET", at)).body["status"], "healthy", at);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(metrics, /libvirt_volume_provisioner_jobs_total\{status="completed"\} [1-9]/);
    const { body } = await server.ask("GET", "/openapi.json");
    const paths = Object.keys(body["paths"] as object);
    for (const at of ["/api/v1/jobs", "/api/v1/jobs/{job_id}", "/api/v1/cache/{digest}", "/readyz"])
      assert.ok(paths.includes(at), at);
  });

  it("asks for a token beyond this machine, and then of everyone", async () => {
    const open = new Server([...argsOf(jobsFolder()), "--listen", "0.0.0.0"]);
    assert.equal(await open.ended(), 1);
    assert.match(open.output, /Refused to listen on 0\.0\.0\.0 without a token/);
    const file = path.join(lab.group.folder, "tokens");
    fs.writeFileSync(file, `# ours\n${token}\n`, { mode: 0o600 });
    const guarded = await new Server([...argsOf(jobsFolder()), "--tokens", file]).ready();
    const status = async (headers: Record<string, string>): Promise<number> =>
      (await guarded.ask("GET", "/api/v1/cache", undefined, headers)).status;
    assert.equal(await status({}), 401);
    assert.equal(await status({ Authorization: `Bearer ${token}x` }), 401);
    assert.equal(await status({ Authorization: `Bearer ${token}` }), 200);
    assert.equal(await status({ "X-API-Token": token }), 200);
    assert.equal((await guarded.ask("GET", "/healthz")).status, 200);
    await guarded.end("SIGTERM");
    assert.ok(!guarded.output.includes(token));
  });
});
