import * as assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { openHost } from "../../providers/host/effects/host.ts";
import { renderEnsureEntry } from "../../providers/image-volume/core/commands.ts";
import { cacheLayout } from "../../providers/image-volume/core/layout.ts";
import { openObjectStore } from "../../providers/image-volume/effects/object-store.ts";
import { type FaultFront, startFaultFront } from "../support/fault-front.ts";
import { startMinio, type TestMinio } from "../support/minio.ts";
import { requireNeeds } from "../support/needs.ts";
import { makeScratch } from "../support/scratch.ts";
import { plainQcow2 } from "../support/volume-situations.ts";

const mebibyte = 2 ** 20;

describe("an image fetched in parts", function () {
  this.timeout(120_000);
  const content = randomBytes(44 * mebibyte + 12_345);
  const digest = createHash("sha256").update(content).digest("hex");
  let minio: TestMinio;
  let front: FaultFront;
  let cache: string;
  let url: string;
  let cleanUp = (): void => undefined;

  before(async function () {
    requireNeeds(this, ["minio", "curl"]);
    minio = await startMinio();
    front = await startFaultFront(minio.endpoint);
    cleanUp = () => {
      front.stop();
      minio.stop();
    };
    await minio.client.makeBucket("images");
    await minio.client.putObject("images", "image", content);
    const { endpoint } = front;
    const store = openObjectStore(minio.credentials);
    url = await store.presign({ endpoint, bucket: "images", key: "image" });
  });

  beforeEach(() => {
    const scratch = makeScratch("parts");
    const former = cleanUp;
    cleanUp = () => {
      scratch.remove();
      former();
    };
    cache = path.join(scratch.folder, "a cache");
    front.fault = () => undefined;
    front.seen.length = 0;
  });

  after(() => {
    cleanUp();
  });

  const script = (): string =>
    renderEnsureEntry({
      cache: cacheLayout(cache),
      ...{ digest, bytes: content.length, format: plainQcow2, source: { url } },
    });
  const fetchImage = (edit = (text: string) => text): Promise<string> =>
    openHost("qemu:///system").run(edit(script()), { purpose: "fetch", timeoutSeconds: 100 });
  const part = (): string => cacheLayout(cache).partial(digest);
  const ranges = (): string[] => front.seen.map(({ range }) => range ?? "all");
  const kept = (): string[] => fs.readdirSync(cache).filter((name) => !name.endsWith(".lock"));

  function assertFetched(printed: string): void {
    assert.match(printed, /^@value fetched yes$/m);
    assert.deepEqual(kept(), [path.basename(cacheLayout(cache).entry(digest, content.length))]);
    assert.ok(fs.readFileSync(path.join(cache, kept()[0] ?? "")).equals(content));
  }

  it("comes over four connections at once", async () => {
    let atFourth: string[] = [];
    front.fault = () => {
      if (front.seen.length === 4) atFourth = fs.readdirSync(cache);
      return { bytesPerSecond: 8 * mebibyte };
    };
    assertFetched(await fetchImage());
    assert.equal(ranges().length, 6);
    assert.equal(ranges().at(-1), `bytes=${String(40 * mebibyte)}-${String(content.length - 1)}`);
    const arrived = atFourth.filter((name) => !/\.(lock|err|part)$/.test(name));
    for (const name of arrived) assert.match(name, /\.part\.[0-9]+$/);
    assert.ok(!atFourth.includes(path.basename(cacheLayout(cache).entry(digest, content.length))));
  });

  it("goes on after a kill with what had come in order, and with whole parts", async () => {
    front.fault = ({ range }) =>
      range === `bytes=${String(8 * mebibyte)}-${String(16 * mebibyte - 1)}`
        ? { bytesPerSecond: mebibyte / 4 }
        : undefined;
    const run = spawn("bash", { detached: true, stdio: ["pipe", "ignore", "inherit"] });
    run.stdin.end(script());
    const third = `${part()}.${String(16 * mebibyte)}`;
    const deadline = Date.now() + 60_000;
    while (size(part()) < 8 * mebibyte || size(third) < 8 * mebibyte) {
      assert.ok(Date.now() < deadline, ranges().join(" "));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    process.kill(-Number(run.pid), "SIGKILL");
    await new Promise((resolve) => run.on("close", resolve));
    const before = size(part());
    front.fault = () => undefined;
    front.seen.length = 0;
    assertFetched(await fetchImage());
    assert.ok(before >= 8 * mebibyte);
    const starts = ranges().map((range) => Number(/^bytes=(\d+)/.exec(range)?.[1]));
    assert.ok(Math.min(...starts) >= before, ranges().join(" "));
    assert.ok(!starts.includes(16 * mebibyte), ranges().join(" "));
  });

  it("asks again for a part that broke off, and not for those that came", async () => {
    let broken = false;
    front.fault = ({ range }) => {
      if (broken || range?.startsWith(`bytes=${String(40 * mebibyte)}-`) !== true) return;
      broken = true;
      return { cutAfterBytes: mebibyte };
    };
    assertFetched(await fetchImage());
    assert.ok(broken);
    assert.equal(ranges().filter((range) => range.startsWith("bytes=0-")).length, 1);
    assert.ok(ranges().length <= 6 + 4, ranges().join(" "));
  });

  it("asks again while the store is busy", async () => {
    let asked = 0;
    front.fault = () => ((asked += 1) % 3 === 2 ? { status: 503 } : undefined);
    assertFetched(await fetchImage());
  });

  it("comes in one piece from a server that knows no ranges", async () => {
    front.fault = () => ({ ignoreRange: true });
    assertFetched(await fetchImage());
    assert.equal(ranges().at(-1), "all");
  });

  it("is not put together from two versions of the image", async () => {
    front.fault = ({ range }) =>
      range?.startsWith(`bytes=${String(24 * mebibyte)}-`) === true ? { status: 412 } : undefined;
    assert.match(await fetchImage(), /^@fail image-changed 412$/m);
    assert.deepEqual(kept(), []);
  });

  it("is fetched anew when parts of an earlier run are rubbish", async () => {
    fs.mkdirSync(cache);
    fs.writeFileSync(part(), Buffer.alloc(3 * mebibyte));
    fs.writeFileSync(`${part()}.0`, Buffer.alloc(8 * mebibyte));
    fs.writeFileSync(`${part()}.${String(16 * mebibyte)}`, Buffer.alloc(8 * mebibyte));
    assertFetched(await fetchImage());
  });

  it("leaves nothing when the disk fills up", async function () {
    requireNeeds(this, ["root"]);
    fs.mkdirSync(cache);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=20m", "tmpfs", cache]);
    try {
      const printed = await fetchImage((text) =>
        text.replace(/^ {2}free=.*$/m, "  free=999999999999"),
      );
      assert.match(printed, /^@fail cache-disk-full/m);
      assert.deepEqual(kept(), []);
    } finally {
      execFileSync("umount", [cache]);
    }
  });
});

function size(file: string): number {
  return fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
