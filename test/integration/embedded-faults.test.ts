import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { layoutOf } from "../../embedded/core/layout.ts";
import { findProcesses } from "../../embedded/effects/processes.ts";
import { type EmbeddedOptions, ensureEmbedded, stopEmbedded } from "../../embedded/index.ts";
import { ignore, inOwnProcess, outcomeOf, useEmbedded } from "../support/embedded-lab.ts";
import { startMinio } from "../support/minio.ts";
import { freePort } from "../support/scratch.ts";
import { makeVolumeGroup } from "../support/volume-group.ts";

const MiB = 1024 ** 2;

describe("the embedded hypervisor, volume group and object store, when something goes wrong", function () {
  this.timeout(180_000);
  const {
    lab,
    ensure,
    stop,
    virsh,
    processes,
    atRest,
    killAll,
    store,
    volumes,
    startGuest,
    traces,
  } = useEmbedded();

  describe("after a run that was killed", () => {
    const killedAtLine = (line: number): Promise<string> =>
      outcomeOf(
        inOwnProcess(`
          let lines = 0;
          await ensureEmbedded(${JSON.stringify(lab.options)}, () => {
            if ((lines += 1) === ${String(line)}) process.kill(process.pid, "SIGKILL");
          });`),
      );

    for (const line of [1, 2, 3, 4, 5, 6])
      it(`before its announcement ${String(line)}: ${line % 2 === 0 ? "starts" : "stops"}`, async () => {
        await killedAtLine(line);
        if (line % 2 === 0) {
          await ensure();
          assert.equal(virsh("net-list", "--name"), "default");
          assert.ok(await store().bucketExists("images"));
        }
        await stop();
        assert.deepEqual(traces(), []);
      });

    for (const milliseconds of [800, 1400])
      it(`after ${String(milliseconds)} ms: starts and stops`, async () => {
        const child = inOwnProcess(
          `await ensureEmbedded(${JSON.stringify(lab.options)}, () => undefined);`,
        );
        const ended = outcomeOf(child);
        setTimeout(() => child.kill("SIGKILL"), milliseconds);
        await ended;
        await ensure();
        assert.equal(virsh("net-list", "--name"), "default");
        await stop();
        assert.deepEqual(traces(), []);
      });

    it("while it stopped: stops and starts", async () => {
      await ensure();
      const child = inOwnProcess(`
        await stopEmbedded(${JSON.stringify(lab.options)}, (line) => {
          if (line.includes("network namespace")) process.kill(process.pid, "SIGKILL");
        });`);
      await outcomeOf(child);
      await ensure();
      assert.equal(virsh("net-list", "--name"), "default");
      await stop();
      assert.deepEqual(traces(), []);
    });
  });

  describe("where something is there already", () => {
    afterEach(async () => {
      await stop();
      assert.deepEqual(traces(), []);
    });

    it("names the process that holds the store's port", async () => {
      const server = http.createServer((_request, response) => response.writeHead(404).end());
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo;
      const objectStore = {
        ...lab.options.objectStore,
        endpoint: `http://127.0.0.1:${String(port)}`,
      };
      await assert.rejects(ensureEmbedded({ ...lab.options, objectStore }, ignore), {
        code: "object-store-port-taken",
        message: new RegExp(
          `Port ${String(port)} is taken by .*\\(pid ${String(process.pid)}\\).*groundwork:objectStore endpoint`,
        ),
      });
      server.close();
      assert.deepEqual(traces(), [], "a refusal comes before anything is changed");
    });

    it("uses a store and a volume group that are there, and leaves them there", async () => {
      const minio = await startMinio();
      const group = makeVolumeGroup({ sizeMiB: 64 });
      const given = {
        ...lab.options,
        volumeGroup: group.name,
        objectStore: { ...lab.options.objectStore, endpoint: minio.endpoint },
      };
      try {
        await assert.rejects(ensureEmbedded(given, ignore), { code: "object-store-denied" });
        process.env["MINIO_ACCESS_KEY"] = minio.credentials.accessKey;
        process.env["MINIO_SECRET_KEY"] = minio.credentials.secretKey;
        const facts = await ensureEmbedded(given, ignore);
        assert.equal(facts.volumeGroup.kind, "existing");
        assert.equal(facts.objectStore.kind, "existing");
        assert.deepEqual(
          JSON.parse(fs.readFileSync(facts.objectStore.credentialsFile, "utf8")),
          minio.credentials,
        );
        await stopEmbedded(given, ignore);
        assert.ok(await minio.client.bucketExists("images"));
        assert.deepEqual(group.volumes(), []);
      } finally {
        delete process.env["MINIO_ACCESS_KEY"];
        delete process.env["MINIO_SECRET_KEY"];
        minio.stop();
        group.remove();
      }
    });

    it("uses a libvirt of the machine and leaves it alone", async () => {
      await ensure();
      const before = await atRest();
      // Our own libvirt plays the machine's, where another home sees its sockets in /run/libvirt.
      const wrapper = ["unshare", "--mount", "bash", "-c"];
      const shown = `mount --bind '/run/groundwork/${lab.options.name}' /run/libvirt; exec "$@"`;
      const other = {
        ...lab.options,
        home: path.join(lab.scratch.folder, "other"),
        name: `${lab.options.name}b`,
      };
      const printed = await outcomeOf(
        inOwnProcess(
          `const other = { ...${JSON.stringify(other)}, volumeGroup: "${lab.options.volumeGroup}x",
             objectStore: { ...${JSON.stringify(lab.options.objectStore)}, endpoint: "http://127.0.0.1:${String(await freePort())}" } };
           const facts = await ensureEmbedded(other, () => undefined);
           await stopEmbedded(other, () => undefined);
           console.log(JSON.stringify(facts.hypervisor));`,
          [...wrapper, shown, "bash"],
        ),
      );
      assert.equal(printed, '{"kind":"system","uri":"qemu:///system"}\n');
      // libvirt may have started more meanwhile, to ask its emulators what they can.
      const after = processes().map(({ pid }) => pid);
      assert.deepEqual(
        before.filter(({ pid }) => !after.includes(pid)),
        [],
      );
      assert.equal(virsh("net-list", "--name"), "default");
    });

    it("ends also what it started under an earlier name, and nothing under another's", async () => {
      await ensure();
      await volumes((vg) => [vg.create(lab.options.volumeGroup, "guest-root", 16 * MiB)]);
      startGuest();
      const other: EmbeddedOptions = {
        ...lab.options,
        home: path.join(lab.scratch.folder, "other"),
        name: `${lab.options.name}c`,
        volumeGroup: `${lab.options.volumeGroup}c`,
        objectStore: {
          ...lab.options.objectStore,
          endpoint: `http://127.0.0.1:${String(await freePort())}`,
        },
      };
      const earlier = layoutOf(other);
      await ensureEmbedded(other, ignore);
      await stopEmbedded({ ...other, name: lab.options.name }, ignore);
      assert.deepEqual(findProcesses(other, undefined), []);
      for (const gone of [earlier.run, earlier.namespace, earlier.root])
        assert.equal(fs.existsSync(gone), false, gone);
      assert.equal(virsh("domstate", "guest"), "running");
    });

    it("refuses a name and a volume group that belong to another checkout", async () => {
      await ensure();
      const other = { ...lab.options, home: path.join(lab.scratch.folder, "other") };
      const credentials = layoutOf(lab.options).credentials;
      process.env["GROUNDWORK_OBJECT_STORE_CREDENTIALS"] = credentials;
      try {
        await assert.rejects(ensureEmbedded(other, ignore), {
          code: "embedded-name-taken",
          message: /belongs to .*home of it.*The volume group .* belongs to another checkout/s,
        });
      } finally {
        delete process.env["GROUNDWORK_OBJECT_STORE_CREDENTIALS"];
      }
    });

    it("refuses another name for its volume group, and stops under that too", async () => {
      await ensure();
      await volumes((vg) => [vg.create(lab.options.volumeGroup, "guest-root", 16 * MiB)]);
      const renamed = { ...lab.options, volumeGroup: `${lab.options.volumeGroup}e` };
      await assert.rejects(ensureEmbedded(renamed, ignore), {
        code: "volume-group-renamed",
        message: new RegExp(`is "${lab.options.volumeGroup}"`),
      });
      await stopEmbedded(renamed, ignore);
      assert.deepEqual(traces(), []);
    });

    it("refuses at once to run under two names", async () => {
      await ensure();
      const name = `${lab.options.name}d`;
      const told = { code: "embedded-name-differs", message: new RegExp(`"${lab.options.name}"`) };
      await assert.rejects(ensureEmbedded({ ...lab.options, name }, ignore), told);
      assert.equal(fs.existsSync(layoutOf({ ...lab.options, name }).run), false);
    });

    it("shows the end of the log when libvirtd cannot start", async () => {
      await ensure();
      killAll();
      const { lib } = layoutOf(lab.options).libvirt;
      fs.rmSync(lib, { recursive: true });
      fs.symlinkSync("/nowhere", lib);
      await assert.rejects(ensure(), {
        code: "hypervisor-silent",
        message: /ended at once.*mount/s,
      });
    });
  });
});
