import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { requireNeeds } from "../support/needs.ts";
import { OwnSystemd } from "../support/own-systemd.ts";

const checkout = path.resolve(import.meta.dirname, "../..");
const unit = "groundwork-backup-local-vm1";

describe("a schedule of backups under systemd", function () {
  this.timeout(120_000);
  let systemd: OwnSystemd | undefined;

  before(async function () {
    requireNeeds(this, ["root", "mountns", "systemd"]);
    systemd = await OwnSystemd.start();
    // Stands where the service finds make, and writes down with what it was started and where.
    const file = path.join(systemd.folder, "bin/make");
    fs.mkdirSync(path.dirname(file));
    fs.writeFileSync(
      file,
      '#!/bin/sh\n{ pwd; echo "$HOME"; printf "<%s>\\n" "$@"; } >"${0%/bin/make}/ran"\n',
      { mode: 0o755 },
    );
  });
  after(() => systemd?.stop());

  const run = async (file: string, ...args: string[]) => {
    assert.ok(systemd !== undefined);
    return systemd.run(file, ...args);
  };
  /** `make backup ARGS="schedule vm1 …"`, without set-up. */
  const schedule = (...args: string[]) =>
    run(
      ...(["env", `PATH=${systemd?.folder ?? ""}/bin:${process.env["PATH"] ?? ""}`] as const),
      ...["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", checkout],
      ...[process.execPath, "--import=tsx/esm", "scripts/backup.ts", "schedule", "vm1"],
      ...["--stack", "local", ...args],
    );
  const show = async (property: string): Promise<string> =>
    (await run("systemctl", "show", "--value", "--property", property, `${unit}.timer`)).output;

  it("is switched on, and due at its time", async () => {
    const { exitCode, output } = await schedule("--keep-count", "7", "--install");
    assert.equal(exitCode, 0, output);
    assert.match(output, /groundwork-backup-local-vm1\.timer runs at \*-\*-\* 03:00:00/);
    assert.equal((await run("systemctl", "is-enabled", `${unit}.timer`)).output, "enabled");
    assert.equal(await show("ActiveState"), "active");
    assert.match(await show("NextElapseUSecRealtime"), / 03:0[0-5]:/);
  });

  it("starts make in the checkout, with a home, the stack and the options", async () => {
    const { exitCode, output } = await run("systemctl", "start", `${unit}.service`);
    assert.equal(exitCode, 0, output);
    const ran = fs.readFileSync(path.join(systemd?.folder ?? "", "ran"), "utf8").split("\n");
    const args = ["<--silent>", "<backup>", "<STACK=local>", "<ARGS=create vm1 --keep-count 7>"];
    assert.deepEqual(ran, [checkout, os.homedir(), ...args, ""]);
  });

  it("takes another time when it is installed again", async () => {
    assert.equal((await schedule("--at", "Mon 04:30", "--install")).exitCode, 0);
    assert.match(await show("TimersCalendar"), /OnCalendar=Mon \*-\*-\* 04:30:00/);
    assert.match(await show("NextElapseUSecRealtime"), /^Mon .* 04:3/);
  });

  it("is gone after it was removed, and removing it again does no harm", async () => {
    for (let times = 0; times < 2; times += 1) {
      const { exitCode, output } = await schedule("--remove");
      assert.equal(exitCode, 0, output);
    }
    assert.equal(await show("LoadState"), "not-found");
    const left = await run("find", "/etc/systemd/system", "-name", "groundwork-*");
    assert.deepEqual(left, { exitCode: 0, output: "" });
  });

  it("is not installed with a time that systemd does not take", async () => {
    const { exitCode, output } = await schedule("--at", "every third Tuesday", "--install");
    assert.equal(exitCode, 1, output);
    assert.match(output, /Cannot use "every third Tuesday" as a time for systemd: /);
    assert.equal(await show("LoadState"), "not-found");
  });
});
