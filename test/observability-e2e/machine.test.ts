import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { type CheckoutCopy, copyCheckout, type Outcome } from "../support/checkout-copy.ts";
import { editStackFile, parseLastLine, succeed, upUntil } from "../support/lab-driver.ts";
import { compareSnapshots, readSnapshot, type Snapshot } from "../support/machine-snapshot.ts";
import { requireNeeds } from "../support/needs.ts";
import { freePort } from "../support/scratch.ts";
import { eventually } from "../support/until.ts";
import { openWayOut, type WayOut, wayOutPort } from "../support/way-out.ts";

const checkout = path.resolve(import.meta.dirname, "../..");
const stack = "obse2e";
const name = `gwobs-${process.pid.toString(36)}`; // several checkouts may be tested at once
const machine = "observability-vm";
const gateway = "192.168.122.1";

/** Pulumi.observability.yaml as it is used without the internet, on disks that suffice here. */
function renderStackFile(port: number): string {
  const text = fs.readFileSync(path.join(checkout, "Pulumi.observability.yaml"), "utf8");
  const proxy = `echo 'Acquire::http::Proxy "http://${gateway}:${String(wayOutPort)}";' >/etc/apt/apt.conf.d/90way-out`;
  return editStackFile(text.replace(/^encryptionsalt:.*\n/m, ""), [
    [["embedded", "name"], name],
    [["embedded", "volumeGroupSizeGiB"], 30],
    [["objectStore", "endpoint"], `http://127.0.0.1:${String(port)}`],
    [["images", 0], { name: "debian-13", build: { release: "trixie", sizeGiB: 3 } }],
    [["hypervisors", 0, "volumeGroup"], name],
    [["machines", 0, "rootVolume", "sizeGiB"], 16],
    [["machines", 0, "volumes", 0, "sizeGiB"], 12],
    [["machines", 0, "cloudInit", "packages"], []],
    [["machines", 0, "cloudInit", "commands", 6], proxy],
    [["observability", "images"], "build"],
    [["observability", "upTimeoutSeconds"], 1800],
  ]);
}

describe("the observability lab on a machine of its own, from nothing to nothing", function () {
  this.timeout(60 * 60_000);
  this.bail(true);
  let lab: CheckoutCopy;
  let untouched: Snapshot;
  let wayOut: WayOut | undefined;

  before(async function () {
    requireNeeds(this, ["root", "loop", "lvm", "netns", "mountns", "qemu", "ovmf", "libvirt"]);
    requireNeeds(this, ["minio", "pulumi", "netcat", "mkisofs", "mmdebstrap", "pip", "collector"]);
    untouched = readSnapshot();
    lab = copyCheckout(stack, renderStackFile(await freePort()));
    // Emulated, programs take ten times as long to answer.
    edit("compose.yaml", "interval: 5s\n  timeout: 4s", "interval: 60s\n  timeout: 60s");
    edit("smoke-test", "patience=90", "patience=600");
    edit("smoke-test", " -m 10 ", " -m 60 ");
    edit("prometheus/prometheus.yml", "scrape_interval: 5s", "scrape_interval: 20s");
    edit("prometheus/prometheus.yml", "scrape_timeout: 4s", "scrape_timeout: 20s");
  });

  after(async () => {
    wayOut?.stop();
    await lab.make("down").done;
    lab.remove();
  });

  /** Changes a file of the project. */
  const edit = (file: string, from: string, to: string): void => {
    const whole = path.join(lab.folder, "stacks/observability", file);
    const text = fs.readFileSync(whole, "utf8");
    assert.ok(text.includes(from), `${file} does not contain ${from}`);
    fs.writeFileSync(whole, text.replaceAll(from, to));
  };
  const editStack = (...edits: Parameters<typeof editStackFile>[1]): void =>
    fs.writeFileSync(lab.stackFile, editStackFile(fs.readFileSync(lab.stackFile, "utf8"), edits));
  const pulumi = (args: string): Promise<Outcome> =>
    lab.shell(`node_modules/.bin/pulumi ${args} --non-interactive --stack ${stack}`);
  const ssh = (command: string): Promise<Outcome> =>
    lab.shell(`ssh -F ${lab.home}/ssh/${stack}/config ${machine} ${JSON.stringify(command)}`);
  const inGuest = async (command: string): Promise<string> => (await succeed(ssh(command))).trim();
  /** Ids of the running containers, by service. */
  const containers = async (): Promise<Record<string, string>> => {
    const format = '{{.Label "com.docker.compose.service"}} {{.ID}}';
    const lines = (await inGuest(`docker ps --no-trunc --format '${format}'`)).split("\n");
    return Object.fromEntries(lines.map((line) => line.split(" ") as [string, string]));
  };
  const api = (route: string, words = ""): Promise<string> =>
    inGuest(`curl -sS -f -m 60 ${words} http://127.0.0.1${route}`);
  const note = (line: string): void => console.log(`      ${line}`);
  /** Runs `make up` and prints what its phases and steps took. */
  const up = async (): Promise<string> => {
    const output = await succeed(lab.make("up"));
    for (const [line] of output.matchAll(/^.*(lab: |Docker on|loading|✓).*$/gm)) note(line);
    return output;
  };

  it("comes up: Docker out of the distribution, images out of the object store, all healthy", async () => {
    const coming = await upUntil(lab, "the lab's network is there", () =>
      fs.existsSync(`/run/netns/${name}`),
    );
    wayOut = await openWayOut(`/run/netns/${name}`);
    const { exitCode, output } = await coming.done;
    for (const [line] of output.matchAll(/^.*(lab: |Docker on|loading|✓).*$/gm)) note(line);
    assert.equal(exitCode, 0, output.split("\n").slice(-60).join("\n"));
    assert.match(output, /installing Docker on/);
    assert.ok(wayOut.asked.some((url) => /\/docker\.io_[^/]*\.deb$/.test(url)));
    assert.equal(await inGuest("whoami"), "deploy");
    assert.match(await inGuest("docker compose version --short"), /^v?2\./);
    assert.equal(Object.keys(await containers()).length, 9);
    assert.equal(await inGuest("findmnt -n -o LABEL /var/lib/docker/volumes"), "data");
    assert.ok(Number(await inGuest("findmnt --bytes -n -o SIZE /")) > 15e9);
  });

  it("has nothing to do the second time, and touches no container", async () => {
    const before = await containers();
    await succeed(pulumi("preview --expect-no-changes"));
    assert.doesNotMatch(await up(), /\d+ (created|updated|replaced|deleted)/);
    assert.deepEqual(await containers(), before);
  });

  it("passes the checklist, but for the network that the lab has not", async () => {
    const output = await succeed(lab.make("verify", "--json"));
    const { checks } = parseLastLine(output) as { checks: { name: string; status: string }[] };
    const failed = checks.filter(({ status }) => status !== "passed").map((check) => check.name);
    assert.deepEqual(failed, ["network"], output);
  });

  it("makes anew the one service whose configuration changed", async () => {
    const before = await containers();
    edit("prometheus/prometheus.yml", "global:\n", "# changed\nglobal:\n");
    assert.match(await succeed(pulumi("preview --diff")), /recreate[^"]*"prometheus"/);
    await up();
    const { prometheus, ...others } = await containers();
    assert.notEqual(prometheus, before["prometheus"]);
    assert.deepEqual({ ...others, prometheus: before["prometheus"] }, before);
  });

  it("goes on after the machine lost power during a deployment", async () => {
    await api("/api/tasks", "-H 'Content-Type: application/json' -d '{\"title\":\"kept\"}'");
    await inGuest("sync");
    edit("alertmanager/alertmanager.yml", "route:\n", "# changed\nroute:\n");
    const cut = await upUntil(lab, "the switch", (output) => output.includes("lab: up"));
    await succeed(lab.shell(`virsh --quiet reset ${machine}`));
    assert.notEqual((await cut.done).exitCode, 0);
    await eventually("SSH", () => inGuest("true").then(() => undefined), 300);
    await up();
    assert.match(await inGuest("cat ~/lab/app/alertmanager/alertmanager.yml"), /# changed/);
    assert.match(await api("/api/tasks"), /"title":"kept"/);
    await succeed(pulumi("preview --expect-no-changes"));
  });

  it("keeps its data on a machine that is made anew", async () => {
    const instance = await inGuest("cat /var/lib/cloud/data/instance-id");
    editStack(
      [["machines", 0, "rootVolume", "generation"], 1],
      [["machines", 0, "rootVolume", "allowStop"], true],
    );
    await up();
    assert.notEqual(await inGuest("cat /var/lib/cloud/data/instance-id"), instance);
    assert.equal(Object.keys(await containers()).length, 9);
    assert.match(await api("/api/tasks"), /"title":"kept"/);
  });

  it("leaves nothing behind", async () => {
    wayOut?.stop();
    await succeed(lab.make("down"));
    assert.deepEqual(compareSnapshots(untouched, readSnapshot()), []);
    assert.equal(fs.existsSync(lab.home), false);
  });
});
