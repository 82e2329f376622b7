import { execa } from "execa";
import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { LocalImage } from "../../../images/core/plan.ts";
import { ensureBuilt } from "../../../images/effects/build.ts";
import { hashFile, imageFolder } from "../../../images/effects/cache.ts";
import { parseQcow2Header } from "../../../providers/image-volume/core/qcow2.ts";
import { cacheFolder, requireNeeds } from "../../support/needs.ts";
import { makeScratch, type Scratch, tied } from "../../support/scratch.ts";

const spec = { sizeGiB: 2, packages: [] };

describe("building the Debian image", function () {
  this.timeout(1_200_000);
  let image: LocalImage;
  let scratch: Scratch;
  const say = (line: string): void => {
    process.stderr.write(`    ${line}\n`);
  };

  before(async function () {
    requireNeeds(this, ["root", "mmdebstrap", "qemu"]);
    image = (await ensureBuilt("debian", spec, cacheFolder(), say)).image;
  });
  beforeEach(() => {
    scratch = makeScratch("build");
  });
  afterEach(() => scratch.remove());

  describe("what is in it", () => {
    let raw: string;
    let root: string;
    let disk: Scratch;

    before(async () => {
      disk = makeScratch("disk");
      raw = path.join(disk.folder, "disk.raw");
      await execa("qemu-img", ["convert", "-O", "raw", image.path, raw]);
      const { stdout } = await execa("sgdisk", ["-i", "1", raw]);
      const first = Number(/First sector: (\d+)/.exec(stdout)?.[1]);
      root = `${raw}?offset=${String(first * 512)}`;
    });
    after(() => disk.remove());

    const debugfs = async (request: string): Promise<string> =>
      (await execa("debugfs", ["-R", request, root])).stdout;

    /** Names in a folder of the root file system, those of folders with a slash. */
    async function list(folder: string): Promise<string[]> {
      const rows = (await debugfs(`ls -p ${folder}`)).split("\n").filter((row) => row !== "");
      return rows.flatMap((row) => {
        const [, , mode = "", , , name = ""] = row.split("/");
        return name === "." || name === ".." ? [] : [mode.startsWith("04") ? `${name}/` : name];
      });
    }

    it("is a zstd-compressed qcow2 of the size asked for", () => {
      const header = fs.readFileSync(image.path).subarray(0, 4096);
      const { compression, virtualBytes } = parseQcow2Header(header, image.bytes);
      assert.deepEqual(
        { compression, virtualBytes },
        { compression: "zstd", virtualBytes: 2 ** 31 },
      );
    });

    it("has partitions that the firmware and systemd know, the root last", async () => {
      const { stdout } = await execa("sgdisk", ["-p", raw]);
      const rows = [...stdout.matchAll(/^ +(\d+) +(\d+) +\d+ .* ([0-9A-F]{4}) +\S+$/gm)];
      const order = rows.sort((one, two) => Number(one[2]) - Number(two[2]));
      assert.deepEqual(
        order.map((row) => `${row[1] ?? ""} ${row[3] ?? ""}`),
        ["14 EF02", "15 EF00", "1 8304"],
      );
      await execa("sgdisk", ["-v", raw]);
      const bootSector = Buffer.alloc(512);
      const file = fs.openSync(raw, "r");
      fs.readSync(file, bootSector);
      fs.closeSync(file);
      assert.equal(bootSector.toString("hex", 510), "55aa");
    });

    it("has a file system without fault", async () => {
      const { exitCode, stderr } = await execa("e2fsck", ["-fn", root], { reject: false });
      assert.equal(exitCode, 0, stderr);
    });

    it("has no identity of a machine", async () => {
      assert.match(await debugfs("stat /etc/machine-id"), /Size: 0\b/);
      assert.deepEqual(await list("/etc/netplan"), []);
      const etc = await list("/etc");
      for (const name of ["hostname", ".pwd.lock", "passwd-", "shadow-"])
        assert.ok(!etc.includes(name), name);
      assert.deepEqual(
        (await list("/etc/ssh")).filter((name) => /host_.*key/.test(name)),
        [],
      );
      assert.ok(!(await list("/var/lib")).includes("cloud/"));
      assert.ok(!(await list("/var/lib/systemd")).includes("random-seed"));
      assert.match(await debugfs("stat /etc/resolv.conf"), /run\/systemd\/resolve\/stub-resolv/);
    });

    it("has no logs, caches, package lists or temporary files", async () => {
      for (const folder of ["/root", "/tmp", "/var/tmp", "/run", "/dev", "/var/cache/apt/archives"])
        assert.deepEqual(
          (await list(folder)).filter((name) => !name.endsWith("/")),
          [],
          folder,
        );
      assert.deepEqual(
        (await list("/var/lib/apt/lists")).filter((name) => !name.endsWith("/")),
        [],
      );
      const logs = (await list("/var/log")).filter((name) => !name.endsWith("/"));
      assert.deepEqual(
        logs.filter((name) => name !== "README"),
        [],
      ); // a link to systemd's own
    });

    it("keeps apt and dpkg as Debian has them, but for what the documentation says", async () => {
      const apt = (await list("/etc/apt/apt.conf.d")).sort();
      assert.deepEqual(apt, ["01autoremove", "70debconf", "90cloud-image"]);
      assert.deepEqual(await list("/etc/dpkg/dpkg.cfg.d"), ["90cloud-image"]);
    });
  });

  it("gives the same bytes for the same packages", async () => {
    const again = (await ensureBuilt("again", spec, scratch.folder, say)).image;
    const manifest = (of: LocalImage): string =>
      fs.readFileSync(of.path.replace(/qcow2$/, "packages"), "utf8");
    // The cached one may be older than today's packages; then only a third build could tell.
    if (manifest(again) !== manifest(image))
      image = (await ensureBuilt("once more", spec, path.join(scratch.folder, "2"), say)).image;
    assert.equal(manifest(again), manifest(image));
    assert.equal(again.digest, image.digest);
    assert.equal(await hashFile(again.path), again.digest);
  });

  it("names a package that the mirror has not", async () => {
    const packages = ["no-such-package-as-this"];
    await assert.rejects(
      ensureBuilt("odd", { sizeGiB: 2, packages }, scratch.folder, () => undefined),
      {
        code: "package-not-found",
        message: /image "odd".*no-such-package-as-this.*build\.packages/,
      },
    );
    assert.deepEqual(fs.readdirSync(path.join(imageFolder(scratch.folder), "tmp")), []);
  });

  it("clears up before it asks for more room, and starts nothing", async () => {
    const huge = { sizeGiB: 2, packages: [] };
    const full = path.join(scratch.folder, "small");
    fs.mkdirSync(full);
    await execa("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", full]);
    const tmp = path.join(imageFolder(full), "tmp");
    fs.mkdirSync(path.join(tmp, "left-by-a-crash"), { recursive: true });
    try {
      await assert.rejects(
        ensureBuilt("odd", huge, full, () => undefined),
        {
          code: "disk-full",
          message: /needs 2 GiB in .*small.*GROUNDWORK_CACHE/,
        },
      );
      assert.deepEqual(fs.readdirSync(tmp), []);
    } finally {
      await execa("umount", [full]);
    }
  });

  it("ends with the program that asked, and the next build clears up after it", async () => {
    const module = path.resolve(import.meta.dirname, "../../../images/effects/build.ts");
    const script = `
      import { ensureBuilt } from ${JSON.stringify(module)};
      const say = (line) => process.stdout.write(line + "\\n");
      await ensureBuilt("killed", { sizeGiB: 2, packages: ["no-such-package"] }, process.argv[1], say);`;
    const [program, args] = tied(process.execPath, [
      ...["--import=tsx", "--input-type=module", "--eval", script, scratch.folder],
    ]);
    const child = execa(program, args, { reject: false, buffer: false });
    const tmp = path.join(imageFolder(scratch.folder), "tmp");
    const left = (): string[] => (fs.existsSync(tmp) ? fs.readdirSync(tmp) : []);
    while (left().length === 0 && child.exitCode === null) await sleep(20);
    child.kill("SIGKILL");
    await child;
    // The lock is free once the last process of the build has ended.
    await execa("flock", ["--wait", "30", tmp, "true"]);
    fs.mkdirSync(path.join(tmp, "left-by-a-crash"), { recursive: true });
    const packages = ["no-such-package-as-this"];
    await assert.rejects(
      ensureBuilt("next", { sizeGiB: 2, packages }, scratch.folder, () => undefined),
      {
        code: "package-not-found",
      },
    );
    assert.deepEqual(left(), []);
  });
});
