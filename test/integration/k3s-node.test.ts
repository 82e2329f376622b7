import { execa } from "execa";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import {
  networkWaitPath,
  renderNetworkWait,
} from "../../providers/k3s-cluster/core/network-wait.ts";
import type { ArtifactOrder } from "../../providers/k3s-cluster/core/artifacts.ts";
import type { NodeArguments } from "../../providers/k3s-cluster/core/arguments.ts";
import type { NodeFile } from "../../providers/k3s-cluster/core/node-files.ts";
import {
  parseProbe,
  renderApply,
  renderProbe,
} from "../../providers/k3s-cluster/core/node-script.ts";
import { requireNeeds } from "../support/needs.ts";
import { makeScratch, type Scratch } from "../support/scratch.ts";

const node: NodeArguments = {
  ...{ name: "w1", role: "agent", address: "127.0.0.1", user: "deploy", hasRoute: false },
  ...{ hostPublicKey: "ssh-ed25519 AAAA", hypervisorUri: "qemu:///system", machine: "m" },
  ...{ config: {}, labels: {}, taints: [] },
};
const file = (content: string): NodeFile => ({
  ...{ path: "/etc/rancher/k3s/token", mode: "0600", content },
});
const wait: NodeFile = { path: networkWaitPath, mode: "0755", content: renderNetworkWait() };

/** Remembers what it was asked, and whether the unit runs. */
const systemctl = `#!/bin/bash
echo "$*" >>"$STATE/systemctl"
case $1 in
  is-active) cat "$STATE/active" 2>/dev/null || { echo inactive; exit 3; } ;;
  start | restart) echo active >"$STATE/active" ;;
esac
`;

/**
 * The scripts run one after the other as root in a mount namespace of their own, where /etc, /usr/local
 * and /var/lib are the test's: only systemd is not there, and stood in for.
 */
describe("the script that makes a node what it shall be", function () {
  this.timeout(60_000);
  let scratch: Scratch;

  before(function () {
    requireNeeds(this, ["root", "mountns"]);
  });
  beforeEach(() => {
    scratch = makeScratch("k3s-node");
  });
  afterEach(() => scratch.remove());

  const write = (name: string, content: string): string => {
    const target = path.join(scratch.folder, name);
    fs.writeFileSync(target, content, { mode: 0o755 });
    return target;
  };

  /** Runs each script; returns what each printed, its errors and its exit code. */
  async function run(scripts: readonly string[]): Promise<{ output: string; exitCode: number }[]> {
    fs.mkdirSync(path.join(scratch.folder, "bin"), { recursive: true });
    write("bin/systemctl", systemctl);
    const files = scripts.map((script, index) => write(`script-${String(index)}`, script));
    const driver = [
      "set -e",
      `mkdir -p ${scratch.folder}/layer && mount -t tmpfs tmpfs ${scratch.folder}/layer`,
      `export STATE=${scratch.folder}/layer PATH=${scratch.folder}/bin:$PATH`,
      "for each in etc usr/local var/lib; do",
      '  mkdir -p "$STATE/$each/up" "$STATE/$each/work"',
      '  mount -t overlay overlay -o "lowerdir=/$each,upperdir=$STATE/$each/up,workdir=$STATE/$each/work" "/$each"',
      "done",
      ...files.flatMap((each, index) => [
        `code=0; bash ${each} >${scratch.folder}/out-${String(index)} 2>&1 || code=$?`,
        `echo $code >${scratch.folder}/code-${String(index)}`,
      ]),
    ].join("\n");
    await execa("unshare", ["--mount", "--propagation", "private", "bash", "-c", driver]);
    const read = (name: string): string => fs.readFileSync(path.join(scratch.folder, name), "utf8");
    return scripts.map((_, index) => ({
      output: read(`out-${String(index)}`),
      exitCode: Number(read(`code-${String(index)}`)),
    }));
  }

  const digest = (content: string): string => createHash("sha256").update(content).digest("hex");
  const binary = (source: ArtifactOrder["source"], content: string): ArtifactOrder => ({
    ...{ name: "k3s", title: "the k3s binary", target: "/usr/local/bin/k3s", mode: "0755", source },
    digest: { kind: "pinned", sha256: digest(content) },
    want: digest(content),
  });
  const baked = (content: string, name = "baked"): ArtifactOrder =>
    binary({ kind: "path", path: write(name, content) }, content);

  it("starts k3s once, leaves it alone while nothing changed, and restarts it for a change", async () => {
    const artifacts = [baked("k3s 1")];
    const first = renderApply({ node, files: [file("one")], artifacts });
    const changed = renderApply({ node, files: [file("two")], artifacts });
    const upgraded = renderApply({
      node,
      files: [file("two")],
      artifacts: [baked("k3s 2", "next")],
    });
    const look = "cat /etc/rancher/k3s/token /usr/local/bin/k3s; stat -c %a /etc/rancher/k3s/token";
    const results = await run([first, first, changed, upgraded, look]);
    assert.deepEqual(
      results
        .slice(0, 4)
        .map(({ output }) => /groundwork-result (\w+)/.exec(output)?.[1] ?? output),
      ["started", "same", "restarted", "restarted"],
    );
    assert.equal(results[4]?.output, "twok3s 2600\n");
  });

  it("refuses a binary of another digest, before k3s is started or the old binary is touched", async () => {
    const good = renderApply({ node, files: [], artifacts: [baked("k3s 1")] });
    const artifact = { ...baked("k3s 2", "next"), want: "another" };
    fs.writeFileSync(path.join(scratch.folder, "next"), "tampered");
    const bad = renderApply({ node, files: [], artifacts: [artifact] });
    const [, refused, after] = await run([good, bad, "cat /usr/local/bin/k3s $STATE/systemctl"]);
    assert.equal(refused?.exitCode, 1);
    assert.match(
      refused.output,
      /the k3s binary at .*next has the digest [0-9a-f]{64}, and [0-9a-f]{64} is expected/,
    );
    assert.match(after?.output ?? "", /^k3s 1/);
    assert.equal(after?.output.match(/^start /gm)?.length, 1);
  });

  it("says where the binary should have been in the image", async () => {
    const artifact = binary({ kind: "path", path: "/nowhere/k3s" }, "x");
    const [result] = await run([renderApply({ node, files: [], artifacts: [artifact] })]);
    assert.equal(result?.exitCode, 1);
    assert.match(result.output, /not in this machine's image: there is no \/nowhere\/k3s/);
  });

  it("fetches a binary, holds it against its digest, and does not fetch it twice", async () => {
    const url = `file://${write("served", "k3s 3")}`;
    const good = binary({ kind: "url", url, host: "localhost" }, "k3s 3");
    const bad = { ...binary({ kind: "url", url, host: "localhost" }, "k3s 4"), want: "4" };
    const apply = (artifact: ArtifactOrder): string =>
      renderApply({ node, files: [wait], artifacts: [artifact] });
    const results = await run([apply(bad), apply(good), apply(good), "cat /usr/local/bin/k3s"]);
    assert.equal(results[0]?.exitCode, 1);
    assert.match(results[0].output, /as it came has the digest/);
    assert.match(
      results[1]?.output ?? "",
      /network: an interface with 127\.0\.0\.1 is there after \d+ s/,
    );
    assert.match(results[1]?.output ?? "", /has come, its digest is right/);
    assert.doesNotMatch(results[2]?.output ?? "", /has come/);
    assert.equal(results[3]?.output, "k3s 3");
  });

  it("takes the digest from the vendor's list, and refuses a list without it", async () => {
    const served = write("served", "k3s 3");
    const list = write("sums", `${digest("other")}  k3s-other\n${digest("k3s 3")}  k3s\n`);
    const order = (name: string): ArtifactOrder => ({
      ...binary({ kind: "url", url: `file://${served}`, host: "localhost" }, ""),
      digest: { kind: "listed", url: `file://${list}`, file: name },
      want: "release v1",
    });
    const apply = (name: string): string =>
      renderApply({ node, files: [wait], artifacts: [order(name)] });
    const [unlisted, listed] = await run([apply("k3s-missing"), apply("k3s")]);
    assert.match(unlisted?.output ?? "", /the list of checksums does not name k3s-missing/);
    assert.equal(unlisted?.exitCode, 1);
    assert.match(listed?.output ?? "", /groundwork-result started/);
  });

  it("lets the probe see what is there", async () => {
    const apply = renderApply({ node, files: [], artifacts: [baked("k3s 1")] });
    const config =
      "mkdir -p /etc/rancher/k3s; echo 'server: \"https://10.0.0.1:6443\"' >/etc/rancher/k3s/config.yaml";
    const results = await run([renderProbe("agent"), apply, config, renderProbe("agent")]);
    assert.deepEqual(parseProbe(results[0]?.output ?? ""), {
      ...{ hasData: false, joined: false, active: false, server: "" },
    });
    assert.deepEqual(parseProbe(results[3]?.output ?? ""), {
      ...{ hasData: false, joined: true, active: true, server: "https://10.0.0.1:6443" },
    });
  });

  it("gives up on a network that does not come, and says what is missing", async () => {
    const [result] = await run([`bash -s 192.0.2.77 1 no <<'END'\n${renderNetworkWait()}END`]);
    assert.equal(result?.exitCode, 1);
    assert.match(
      result.output,
      /network: gave up after 1 s: an interface with 192\.0\.2\.77 is missing/,
    );
  });
});
