import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import * as assert from "node:assert/strict";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";
import { volumeLock } from "../../providers/image-volume/core/layout.ts";
import * as provider from "../../providers/image-volume/provider.ts";
import { type ImageVolumeLab, rejects, type TestImage } from "../support/image-volume-lab.ts";
import { useImageVolumeLab } from "../support/image-volume-suite.ts";
import { endTree, tied } from "../support/scratch.ts";
import { startSshd, type TestSshd } from "../support/sshd.ts";
import { until } from "../support/until.ts";

const program = path.resolve(import.meta.dirname, "../support/create-volume.ts");

for (const where of ["this machine", "a host behind SSH"] as const)
  describe(`an image volume on ${where} that is interrupted`, function () {
    this.timeout(180_000);
    let lab: ImageVolumeLab;
    let sshd: TestSshd | undefined;
    let slow: TestImage;
    let converting = "";

    after(() => sshd?.stop());
    afterEach(() => {
      fs.rmSync(converting, { force: true });
      fs.rmSync(`${converting}.hold`, { force: true });
    });

    const remote = where === "a host behind SSH";
    useImageVolumeLab({ sizeMiB: 1024, needs: remote ? ["sshd"] : [] }, async (made) => {
      lab = made;
      // While the file "hold" is there, what writes an image works on for a minute after it has begun.
      converting = path.join(lab.group.folder, "converting");
      const searchPath = lab.interposeDecoder(
        `[ ! -e ${converting}.hold ] || { touch ${converting}; sleep 60; }`,
      );
      if (remote) {
        sshd = await startSshd({ PATH: searchPath });
        lab.uri = sshd.uri;
      }
      slow = await lab.image({ dataMiB: 8 });
    });

    const startCreate = (inputs: Record<string, unknown>): ChildProcess => {
      const args = ["--import=tsx", program, JSON.stringify(inputs)];
      const [command, words] = tied(process.execPath, args);
      return spawn(command, words, { stdio: "ignore" });
    };

    const kill = async (child: ChildProcess): Promise<void> => {
      child.kill("SIGKILL");
      await once(child, "exit");
    };

    /** Processes of the lab, by what stands in their command lines. */
    const workers = (): string[] =>
      fs
        .readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
        .flatMap((pid) => {
          const file = `/proc/${pid}/cmdline`;
          return fs.existsSync(file) ? [spawnSync("cat", [file], { encoding: "utf8" }).stdout] : [];
        })
        .filter(
          (line) =>
            line.includes(lab.group.folder) &&
            /qemu-img|prlimit|python3|perl|curl|sha256sum/.test(line),
        );

    const partial = (): string => `${lab.cache}/${slow.digest}.part`;

    const clearCache = (): void => {
      fs.rmSync(lab.cache, { recursive: true, force: true });
    };

    const converges = async (args: Record<string, unknown>): Promise<void> => {
      const made = await lab.create(args);
      lab.assertContent(lab.device(made), slow);
      assert.deepEqual(lab.group.volumes(), [args["volumeName"]]);
      assert.deepEqual(lab.cacheFiles().others, []);
      assert.equal((await lab.update(made, args)).changed, false);
      await provider.delete(made.id, made.outs);
      assert.deepEqual(lab.group.volumes(), []);
    };

    it("#32 is made by the next run when the program is killed while it fetches", async () => {
      clearCache();
      const args = lab.args(slow);
      const inputs = await lab.check(args);
      lab.front.fault = ({ range, path: requested }) =>
        range === "bytes=0-4095" || requested.endsWith(".sha256")
          ? undefined
          : { bytesPerSecond: 2 ** 20 };
      const child = startCreate(inputs);
      await until(() => fs.existsSync(partial()) && fs.statSync(partial()).size > 2 ** 20);
      await kill(child);
      await until(() => workers().length === 0);
      lab.front.fault = () => undefined;
      lab.front.seen.length = 0;
      await converges(args);
      assert.ok(
        lab.front.seen.some(({ range }) => /^bytes=[1-9]\d*-$/.test(range ?? "")),
        "what was there was not used",
      );
    });

    it("#32 is made by the next run when the program is killed while it converts", async () => {
      const args = lab.args(slow);
      const inputs = await lab.check(args);
      fs.writeFileSync(`${converting}.hold`, "");
      const child = startCreate(inputs);
      await until(() => fs.existsSync(converting));
      await kill(child);
      fs.rmSync(`${converting}.hold`);
      await converges(args); // at once, while what was left behind is being ended
      await until(() => workers().length === 0);
    });

    it("#33 is populated anew when everything stopped dead in the middle of a convert", async () => {
      // As after a power failure: the volume is there, ours, half written and unmarked.
      const args = lab.args(slow);
      const name = String(args["volumeName"]);
      const { group } = lab;
      group.bash(
        group.commands.create(group.name, name, 128 * 2 ** 20, [
          "groundwork.owner=groundwork/test",
        ]),
        `head -c 50M /dev/urandom >/dev/${group.name}/${name}`,
      );
      const { plan } = await lab.check(args);
      assert.deepEqual((plan as { steps: string[] }).steps.slice(-3), [
        ...["populateVolume", "zeroTail", "markPopulated"],
      ]);
      await converges(args);
    });

    it("waits for a run that still works on the volume", async () => {
      const args = lab.args(slow);
      const lock = volumeLock(lab.group.name, String(args["volumeName"]));
      const [command, words] = tied("flock", [lock, "sleep", "60"]);
      const other = spawn(command, words, { stdio: "ignore" });
      const locked = (): boolean => spawnSync("flock", ["-n", lock, "true"]).status !== 0;
      await until(() => fs.existsSync(lock) && locked());
      let ended = false;
      const create = lab.create(args).finally(() => (ended = true));
      await new Promise((resolve) => setTimeout(resolve, 3000));
      assert.equal(ended, false);
      assert.deepEqual(lab.group.volumes(), []);
      endTree(other.pid);
      lab.assertContent(lab.device(await create), slow);
    });

    if (where === "a host behind SSH") {
      it("#31 leaves nothing behind when SSH drops in the middle of a convert", async () => {
        const args = lab.args(slow);
        const inputs = await lab.check(args);
        fs.writeFileSync(`${converting}.hold`, "");
        const create = provider.create(inputs);
        create.catch(() => undefined);
        await until(() => fs.existsSync(converting));
        sshd?.dropConnections();
        await assert.rejects(create, /SSH|connection/i);
        fs.rmSync(`${converting}.hold`);
        await until(() => workers().length === 0);
        await converges(args);
      });

      it("shows no secret in any command line", async () => {
        clearCache();
        const inputs = await lab.check(lab.args(slow));
        lab.front.fault = ({ range, path: requested }) =>
          range === "bytes=0-4095" || requested.endsWith(".sha256")
            ? undefined
            : { bytesPerSecond: 4 * 2 ** 20 };
        const ended = new AbortController();
        const seen = new Set<string>();
        const create = provider.create(inputs).finally(() => {
          ended.abort();
        });
        while (!ended.signal.aborted) {
          const listed = spawnSync("ps", ["-eww", "-o", "args="], { encoding: "utf8" }).stdout;
          for (const line of listed.split("\n")) seen.add(line);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        const made = await create;
        const all = [...seen].join("\n");
        assert.match(all, /curl .*--config -/, "the fetch was not seen");
        assert.doesNotMatch(all, /X-Amz-Signature/);
        assert.ok(!all.includes(lab.minio.credentials.secretKey));
        const state = JSON.stringify(made);
        assert.doesNotMatch(state, /X-Amz/);
        assert.ok(!state.includes(lab.minio.credentials.accessKey));
        await provider.delete(made.id, made.outs);
      });

      it("#36 does not know the plan while the host is down, and never calls it a hit", async () => {
        const uri = lab.uri;
        lab.uri = uri.replace(/:\d+\//, ":1/");
        try {
          const inputs = await lab.check(lab.args(slow));
          assert.deepEqual(inputs["plan"], { cache: "unknown", digestSource: "sidecar" });
          await rejects(provider.create(inputs), "host-unreachable", /127\.0\.0\.1/);
        } finally {
          lab.uri = uri;
        }
      });

      it("#41 goes no further when the host shows another key", async () => {
        const args = lab.args(slow);
        await sshd?.rotateHostKey();
        await rejects(lab.check(args), "host-key-changed", /key/);
        assert.deepEqual(lab.group.volumes(), []);
      });
    }
  });
