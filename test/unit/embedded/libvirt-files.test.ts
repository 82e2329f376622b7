import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { layoutOf } from "../../../embedded/core/layout.ts";
import { readFolders, writeLibvirtFiles } from "../../../embedded/effects/libvirt-files.ts";
import { makeScratch, type Scratch } from "../../support/scratch.ts";

describe("the files of our own libvirt", () => {
  let scratch: Scratch;
  let folders: ReturnType<typeof layoutOf>["libvirt"];
  const network = (): string => path.join(folders.etc, "qemu/networks/default.xml");
  beforeEach(() => {
    scratch = makeScratch("libvirt-files");
    folders = layoutOf({ home: scratch.folder, name: "lab" }).libvirt;
  });
  afterEach(() => scratch.remove());

  it("are there once they were written", () => {
    assert.equal(readFolders(folders.etc), "absent");
    writeLibvirtFiles(folders);
    assert.equal(readFolders(folders.etc), "ready");
  });

  it("keep what libvirt added to its network", () => {
    writeLibvirtFiles(folders);
    fs.appendFileSync(network(), "<!-- uuid -->");
    writeLibvirtFiles(folders);
    assert.match(fs.readFileSync(network(), "utf8"), /uuid/);
    assert.equal(readFolders(folders.etc), "ready");
  });

  for (const name of ["qemu.conf", "qemu/networks/default.xml"])
    it(`are written anew where a crash left ${name} empty`, () => {
      writeLibvirtFiles(folders);
      fs.truncateSync(path.join(folders.etc, name));
      assert.equal(readFolders(folders.etc), "outdated");
      writeLibvirtFiles(folders);
      assert.equal(readFolders(folders.etc), "ready");
    });
});
