import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { layoutOf } from "../../../embedded/core/layout.ts";
import type { EmbeddedFacts } from "../../../embedded/index.ts";
import { readEmbeddedState } from "../../../scripts/lib/embedded.ts";
import { makeScratch, type Scratch } from "../../support/scratch.ts";
import { options as given } from "../embedded/world.ts";

describe("readEmbeddedState", () => {
  let scratch: Scratch;
  let home: string;
  const searched = process.env["PATH"] ?? "";
  beforeEach(() => {
    scratch = makeScratch("embedded-state");
    home = path.join(fs.realpathSync(scratch.folder), "home");
    // A libvirt that always answers, whoever's it is.
    fs.writeFileSync(path.join(scratch.folder, "virsh"), "#!/bin/sh\n", { mode: 0o755 });
    process.env["PATH"] = `${scratch.folder}:${searched}`;
  });
  afterEach(() => {
    process.env["PATH"] = searched;
    scratch.remove();
  });

  const record = (hypervisor: EmbeddedFacts["hypervisor"], owner?: string): void => {
    const facts: EmbeddedFacts = {
      hypervisor,
      volumeGroup: { kind: "embedded", activation: "loop" },
      objectStore: { kind: "embedded", endpoint: "http://127.0.0.1:9000", credentialsFile: "/c" },
    };
    const file = layoutOf({ home, name: "lab" }).facts;
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, JSON.stringify(facts));
    if (owner !== undefined) fs.writeFileSync(path.join(scratch.folder, "owner"), owner);
  };
  const embedded = (): EmbeddedFacts["hypervisor"] => ({
    kind: "embedded",
    uri: `qemu+unix:///system?socket=${path.join(scratch.folder, "libvirt-sock")}`,
    networkNamespace: "/run/netns/lab",
  });
  const state = () => readEmbeddedState({ ...given, home });

  it("asks the hypervisor that this home owns, also through a link to it", async () => {
    record(embedded(), home);
    assert.equal((await state()).answers, true);
    const link = path.join(scratch.folder, "link");
    fs.symlinkSync(home, link);
    assert.equal((await readEmbeddedState({ ...given, home: link })).answers, true);
  });

  for (const [what, owner] of [
    ["another checkout's", "/srv/other/.groundwork"],
    ["nobody's", undefined],
  ] as const)
    it(`takes one whose name is ${what} by now for silent, and keeps the record`, async () => {
      record(embedded(), owner);
      const { facts, answers } = await state();
      assert.equal(answers, false);
      assert.equal(facts?.hypervisor.kind, "embedded");
    });

  it("asks the machine's own", async () => {
    record({ kind: "system", uri: "qemu:///system" });
    assert.equal((await state()).answers, true);
  });
});
