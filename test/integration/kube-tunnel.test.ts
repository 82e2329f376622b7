import { execFileSync } from "node:child_process";
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { ensureSshEntry } from "../../providers/machine-ready/effects/ssh-files.ts";
import { endTunnel, ensureTunnel, type TunnelOptions } from "../../scripts/lib/kube-files.ts";
import { controlPathFor } from "../../providers/host/effects/control-path.ts";
import { FakeGuest } from "../support/fake-guest.ts";
import { requireNeeds } from "../support/needs.ts";
import { makeScratch, type Scratch } from "../support/scratch.ts";

describe("the tunnel to a cluster's API", function () {
  this.timeout(60_000);
  let guest: FakeGuest;
  let scratch: Scratch;
  let configFile: string;
  const undo: (() => void)[] = [];

  before(async function () {
    requireNeeds(this, ["root", "sshd"]);
    guest = await FakeGuest.make();
    undo.push(() => guest.remove());
    scratch = makeScratch("tunnel");
    undo.push(() => scratch.remove());
    await guest.boot();
    for (const name of ["cp1", "cp2"])
      ({ configFile } = await ensureSshEntry({
        ...{ home: scratch.folder, stack: "lab", privateKey: guest.privateKey },
        machine: { ...guest.machine, name },
        networkNamespace: undefined,
      }));
  });
  after(async () => {
    await endTunnel(to("cp1"));
    for (const each of undo.reverse()) each();
  });

  const to = (server: string): TunnelOptions => ({
    ...{ configFile, server, folder: path.join(scratch.folder, "kube"), cluster: "kube" },
  });
  /** Asks the background's ssh something; fails where there is none. */
  const command = (word: string): void => {
    const socket = controlPathFor(`tunnel ${path.join(scratch.folder, "kube", "kube")}`);
    execFileSync("ssh", ["-S", socket, "-O", word, "x"], { stdio: "ignore" });
  };

  it("is kept while it works", async () => {
    const port = await ensureTunnel(to("cp1"));
    command("check");
    assert.equal(await ensureTunnel(to("cp1")), port);
    const file = path.join(scratch.folder, "kube", "kube.port");
    assert.equal(fs.readFileSync(file, "utf8"), `${String(port)} cp1\n`);
  });

  it("has its port again, which is in kubeconfigs, when it is made anew or leads elsewhere", async () => {
    const port = await ensureTunnel(to("cp1"));
    command("exit");
    assert.equal(await ensureTunnel(to("cp1")), port);
    assert.equal(await ensureTunnel(to("cp2")), port);
    command("check");
  });

  it("takes another port where somebody else has that one by now", async () => {
    const port = await ensureTunnel(to("cp1"));
    command("exit");
    const other = net.createServer().listen(port, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    try {
      assert.notEqual(await ensureTunnel(to("cp1")), port);
    } finally {
      other.close();
    }
  });
});
