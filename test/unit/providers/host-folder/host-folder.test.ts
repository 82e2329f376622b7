import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import {
  check,
  create,
  diff,
  read,
  remove,
  update,
} from "../../../../providers/host-folder/provider.ts";
import { requireNeeds } from "../../../support/needs.ts";

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-folder-"));
const folder = path.join(scratch, "groundwork/pools/it's here");
const args = {
  hypervisorUri: `qemu+unix:///system?socket=${scratch}/no-libvirt`,
  path: folder,
  subfolders: ["logs", "nvram"],
  owner: "groundwork/lab",
};

describe("HostFolder", function () {
  before(function () {
    requireNeeds(this, ["root", "libvirt"]);
  });
  after(() => {
    fs.rmSync(scratch, { recursive: true, force: true });
  });

  it("makes the folder, says whose it is, and shows no one what is in it", async () => {
    assert.equal((await create(args)).id, folder);
    assert.deepEqual(fs.readdirSync(folder).sort(), [".groundwork", "logs", "nvram"]);
    assert.equal(fs.readFileSync(path.join(folder, ".groundwork"), "utf8"), "groundwork/lab\n");
    assert.equal(fs.statSync(folder).mode & 0o006, 0, "others can list or write it");
  });

  it("does the same again without harm, as after a run that broke off", async () => {
    fs.writeFileSync(path.join(folder, "logs/vm1.log"), "boot");
    await create(args);
    await update(folder, args, { ...args, subfolders: ["logs", "nvram", "more"] });
    assert.equal(fs.readFileSync(path.join(folder, "logs/vm1.log"), "utf8"), "boot");
    assert.ok(fs.existsSync(path.join(folder, "more")));
  });

  it("sees that it is there, and that it is gone", async () => {
    assert.equal((await read(folder, args)).id, folder);
    assert.equal((await read(folder, { ...args, path: `${folder}2` })).id, undefined);
    assert.equal((await read(folder, { ...args, owner: "groundwork/other" })).id, undefined);
  });

  it("refuses a folder of another owner, and changes nothing", async () => {
    const other = { ...args, owner: "groundwork/other" };
    await assert.rejects(create(other), { code: "folder-not-ours", message: /groundwork\/other/ });
    await assert.rejects(remove(folder, other), { code: "folder-not-ours" });
    assert.equal(fs.readFileSync(path.join(folder, ".groundwork"), "utf8"), "groundwork/lab\n");
  });

  it("refuses the folder of another hypervisor of the stack, and takes one without a name", async () => {
    const named = { ...args, hypervisor: "hv1" };
    await update(folder, args, named);
    assert.equal(
      fs.readFileSync(path.join(folder, ".groundwork"), "utf8"),
      "groundwork/lab\nhv1\n",
    );
    assert.equal((await read(folder, named)).id, folder);
    const renamed = { ...args, hypervisor: "hv2" };
    await assert.rejects(create(renamed), { code: "folder-not-ours", message: /hypervisor "hv2"/ });
    await assert.rejects(remove(folder, renamed), { code: "folder-not-ours" });
    fs.writeFileSync(path.join(folder, ".groundwork"), "groundwork/lab\n");
  });

  it("refuses a folder in use that bears no mark", async () => {
    const used = path.join(scratch, "used");
    fs.mkdirSync(used);
    fs.writeFileSync(path.join(used, "precious"), "");
    await assert.rejects(create({ ...args, path: used }), { code: "folder-not-ours" });
    assert.deepEqual(fs.readdirSync(used), ["precious"]);
  });

  it("keeps everything while libvirt cannot say which domains are left", async () => {
    await assert.rejects(remove(folder, args), { code: "command-failed" });
    assert.ok(fs.existsSync(path.join(folder, "logs/vm1.log")));
  });

  it("has nothing to remove where the folder is gone", async () => {
    await remove(folder, { ...args, path: path.join(scratch, "gone/x") });
  });

  it("refuses paths that could be anything, and names that are not plain", async () => {
    for (const wrong of [{ path: "/" }, { path: "/etc" }, { path: "/a/../b" }, { path: "a/b" }])
      assert.equal((await check({}, { ...args, ...wrong })).failures.length, 1, wrong.path);
    for (const wrong of [{ owner: "x" }, { owner: "a/b; id" }, { subfolders: ["../x"] }])
      assert.equal((await check({}, { ...args, ...wrong })).failures.length, 1);
    assert.deepEqual((await check({}, args)).failures, []);
  });

  it("replaces the folder for another path, host or owner, and completes it otherwise", async () => {
    const replaces = async (change: object): Promise<unknown> =>
      (await diff(folder, args, { ...args, ...change })).replaces;
    assert.deepEqual(await replaces({ path: "/srv/x" }), ["path"]);
    assert.deepEqual(await replaces({ owner: "a/b" }), ["owner"]);
    assert.deepEqual(await replaces({ subfolders: ["logs"] }), []);
    assert.deepEqual(await replaces({ hypervisor: "hv1" }), []);
    assert.deepEqual(await replaces({ hypervisorUri: "qemu:///system" }), []);
    assert.equal((await diff(folder, args, { ...args })).changes, false);
    const remote = { ...args, hypervisorUri: "qemu+ssh://root@hv1/system" };
    for (const [hypervisorUri, replaced] of [
      ["qemu+ssh://ops@hv1:22/system?keyfile=/k", []],
      ["qemu+ssh://root@hv2/system", ["hypervisorUri"]],
    ] as const) {
      const difference = await diff(folder, remote, { ...remote, hypervisorUri });
      assert.deepEqual([difference.changes, difference.replaces], [true, replaced]);
    }
  });

  it("removes the old folder last when the path is another, for domains use it until they moved", async () => {
    const { deleteBeforeReplace } = await diff(folder, args, { ...args, path: "/srv/x" });
    assert.equal(deleteBeforeReplace, false);
  });
});
