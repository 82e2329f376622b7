import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import {
  isTime,
  planEnvironment,
  renderCron,
  renderUnits,
} from "../../../scripts/lib/backup-schedule-plan.ts";
import { requireNeeds } from "../../support/needs.ts";

const schedule = {
  ...{ stack: "local", machine: "vm1", checkout: "/opt/my lab 100%" },
  environment: { PATH: "/usr/bin:/bin", HOME: "/root", GROUNDWORK_HOME: '/srv/a "lab" of 100% $' },
  ...{ at: "*-*-* 03:00:00", options: ["--keep-count", "7"] },
};

describe("renderUnits", () => {
  const units = renderUnits(schedule);

  it("makes a service that runs once, and a timer that catches up", () => {
    assert.deepEqual(Object.keys(units), [
      "groundwork-backup-local-vm1.service",
      "groundwork-backup-local-vm1.timer",
    ]);
    const [service = "", timer = ""] = Object.values(units);
    assert.match(service, /^WorkingDirectory=\/opt\/my lab 100%%$/m);
    assert.match(
      service,
      /^ExecStart=\/usr\/bin\/env make --silent backup "STACK=local" "ARGS=create vm1 --keep-count 7"$/m,
    );
    assert.match(timer, /^OnCalendar=\*-\*-\* 03:00:00$/m);
    assert.match(timer, /^Persistent=true$/m);
  });

  it("passes the environment on, since a service has not even a HOME", () => {
    const lines = Object.values(units)[0]
      ?.split("\n")
      .filter((line) => line.startsWith("Env"));
    assert.deepEqual(lines, [
      'Environment="PATH=/usr/bin:/bin"',
      'Environment="HOME=/root"',
      String.raw`Environment="GROUNDWORK_HOME=/srv/a \"lab\" of 100%% $"`,
    ]);
  });

  it("is what systemd itself accepts", function () {
    requireNeeds(this, ["systemd-analyze"]);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-units-"));
    try {
      const checkout = path.join(folder, "lab 100%");
      fs.mkdirSync(checkout);
      const files = Object.entries(renderUnits({ ...schedule, checkout })).map(([name, text]) => {
        fs.writeFileSync(path.join(folder, name), text);
        return path.join(folder, name);
      });
      const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", ...files], {
        encoding: "utf8",
        env: { ...process.env, SYSTEMD_UNIT_PATH: `${folder}:` },
      });
      assert.equal(status, 0, stderr);
      assert.ok(!stderr.includes(folder), stderr);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });
});

describe("renderCron", () => {
  it("is one line that a shell reads as it is meant", () => {
    const line = renderCron({ ...schedule, at: "0 3 * * *" });
    assert.equal(line.match(/\n/g)?.length, 1);
    assert.match(line, /^0 3 \* \* \* cd '\/opt\/my lab 100\\%' && PATH=/);
    const command = line.replace("0 3 * * * ", "").replaceAll("\\%", "%");
    const shown = command.replace("cd ", "echo ").replace("make --silent", "echo");
    const { stdout } = spawnSync("bash", ["-c", shown], { encoding: "utf8" });
    assert.ok(command.includes(` HOME='/root' GROUNDWORK_HOME='/srv/a "lab" of 100% $' make `));
    assert.equal(stdout, "/opt/my lab 100%\nbackup STACK=local ARGS=create vm1 --keep-count 7\n");
  });
});

describe("planEnvironment", () => {
  it("passes on where things are, and no secrets", () => {
    const set = { HOME: "/root", GROUNDWORK_CACHE: "/srv/cache", XDG_CACHE_HOME: "" };
    const secrets = { PULUMI_CONFIG_PASSPHRASE: "x", AWS_SECRET_ACCESS_KEY: "x", https_proxy: "x" };
    assert.deepEqual(planEnvironment({ ...set, ...secrets }), {
      HOME: "/root",
      GROUNDWORK_CACHE: "/srv/cache",
    });
  });
});

describe("isTime", () => {
  it("takes what systemd and cron know, and nothing that would begin another line", () => {
    for (const at of ["daily", "Mon..Fri *-*-* 04:30", "*-*-1/7 00:00:00 Europe/Berlin"])
      assert.ok(isTime("systemd", at), at);
    for (const at of ["0 3 * * *", "*/5 1-3 * * Mon", "@daily"]) assert.ok(isTime("cron", at), at);
    for (const at of ["", "daily\nExecStart=/bin/sh", "$(x)"]) {
      assert.ok(!isTime("systemd", at), at);
      assert.ok(!isTime("cron", at), at);
    }
  });
});
