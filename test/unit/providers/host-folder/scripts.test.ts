import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { type Folder, renderRemove } from "../../../../providers/host-folder/core/scripts.ts";

/** A domain as `virsh dumpxml` shows it. */
const domain = (owner: string, folder: string): string =>
  `<domain><metadata><groundwork:machine owner="${owner}" image=""/></metadata>` +
  `<serial type='pty'><log file='${folder}/logs/vm1.log' append='on'/></serial></domain>`;

describe("renderRemove", () => {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-remove-"));
  const folder: Folder = {
    path: path.join(scratch, "it's & here"),
    subfolders: ["logs"],
    owner: "groundwork/lab",
  };
  const escaped = folder.path.replace("&", "&amp;").replace("'", "&apos;");
  const domains = {
    own: domain("groundwork/lab", escaped),
    another: domain("groundwork/lab", `${scratch}/another`),
    longer: domain("groundwork/lab", `${escaped} too`),
    foreign: domain("groundwork/other", escaped),
  };
  after(() => {
    fs.rmSync(scratch, { recursive: true, force: true });
  });

  it("removes the owner's domains that use the folder, and none of another", () => {
    fs.mkdirSync(folder.path);
    fs.writeFileSync(path.join(folder.path, ".groundwork"), `${folder.owner}\n`);
    for (const [uuid, xml] of Object.entries(domains))
      fs.writeFileSync(path.join(scratch, `${uuid}.xml`), xml);
    const virsh = `virsh() { case $4 in
      list) echo '${Object.keys(domains).join(" ")}' ;;
      dumpxml) cat "${scratch}/$5.xml" ;;
      *) echo "$4 $5" ;;
    esac; }; timeout() { shift; "$@"; }`;
    const script = `${virsh}\n${renderRemove(folder, "qemu:///system")}`;
    const { stdout, stderr } = spawnSync("bash", ["-c", script], { encoding: "utf8" });
    assert.deepEqual([stdout.trim().split("\n"), stderr], [["destroy own", "undefine own"], ""]);
    assert.ok(!fs.existsSync(folder.path));
  });
});
