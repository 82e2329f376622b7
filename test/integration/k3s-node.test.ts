import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  networkWaitPath,
  renderNetworkWait,
} from "../../providers/k3s-cluster/core/network-wait.ts";
import type { ArtifactOrder } from "../../providers/k3s-cluster/core/artifacts.ts";
import type { NodeArguments } from "../../providers/k3s-cluster/core/arguments.ts";
import { listTokenFiles, type NodeFile } from "../../providers/k3s-cluster/core/node-files.ts";
import {
  parseProbe,
  renderApply,
  renderFetch,
  renderProbe,
} from "../../providers/k3s-cluster/core/node-script.ts";
import {
  oldTokens,
  renderTokenFiles,
  tokenDigest,
} from "../../providers/k3s-cluster/core/tokens.ts";
import { requireNeeds } from "../support/needs.ts";
import { ScriptedNode } from "../support/scripted-node.ts";

const node: NodeArguments = {
  ...{ name: "w1", role: "agent", address: "127.0.0.1", user: "deploy", hasRoute: false },
  ...{ hostPublicKey: "ssh-ed25519 AAAA", hypervisorUri: "qemu:///system", machine: "m" },
  ...{ config: {}, labels: {}, taints: [] },
};
const file = (content: string): NodeFile => ({
  ...{ path: "/etc/rancher/k3s/token", mode: "0600", content },
});
const wait: NodeFile = { path: networkWaitPath, mode: "0755", content: renderNetworkWait() };

describe("the script that makes a node what it shall be", function () {
  this.timeout(60_000);
  let machine: ScriptedNode;

  before(function () {
    requireNeeds(this, ["root", "mountns"]);
  });
  beforeEach(() => {
    machine = new ScriptedNode();
  });
  afterEach(() => machine.remove());

  const write = (name: string, content: string): string => machine.write(name, content);
  const run = (scripts: readonly string[]): ReturnType<ScriptedNode["run"]> => machine.run(scripts);

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

  it("has a new node get its binary before it is known how it joins", async () => {
    const artifacts = [baked("k3s 1")];
    const look = "cat /usr/local/bin/k3s; systemctl is-active k3s-agent";
    const order = { node, files: [file("one")], artifacts };
    const results = await run([renderFetch(order), look, renderApply(order)]);
    assert.match(results[0]?.output ?? "", /its digest is right/);
    assert.equal(results[1]?.output, "k3s 1inactive\n");
    assert.equal(results[2]?.output, "groundwork-result started\n");
  });

  it("has k3s make new certificates with it stopped, once, and not on a node that is new", async () => {
    const k3s = '#!/bin/sh\necho "k3s $*" >>"$STATE/systemctl"\n';
    const artifacts = [baked(k3s)];
    const apply = (certificateGeneration?: number): string =>
      renderApply({ node, files: [file("one")], artifacts, certificateGeneration });
    const asked =
      'grep -E "k3s c|k3s-agent$" "$STATE/systemctl" | grep -v is-active; rm "$STATE/systemctl"';
    const probe = renderProbe("agent");
    const results = await run([...[apply(), asked, apply(1), asked, apply(1), asked, probe]]);
    const [, first, , second, third, fourth, probed] = results.map(({ output }) => output.trim());
    assert.equal(first, "enable --quiet k3s-agent\nstart --no-block k3s-agent");
    assert.equal(
      second,
      "stop k3s-agent\nk3s certificate rotate\nenable --quiet k3s-agent\nrestart --no-block k3s-agent",
    );
    assert.equal(third, "groundwork-result same");
    assert.equal(fourth, "enable --quiet k3s-agent");
    assert.equal(parseProbe(probed ?? "")?.certificates, 1);
  });

  it("mends what a node is started with only where its binary stays", async () => {
    const [first, next] = [[baked("k3s 1")], [baked("k3s 2", "next")]];
    const mend = (word: string, artifacts: ArtifactOrder[]): string =>
      renderApply({ node, files: [file(word)], artifacts, keepsBinary: true });
    const look = "cat /etc/rancher/k3s/token /usr/local/bin/k3s";
    const results = await run([
      renderApply({ node, files: [file("one")], artifacts: first }),
      ...[mend("two", next), look, mend("two", first), look],
    ]);
    assert.deepEqual(
      results.slice(1).map(({ output }) => output.trim()),
      ["groundwork-result same", "onek3s 1", "groundwork-result restarted", "twok3s 1"],
    );
  });

  it("restarts k3s for what a run had changed that failed before it could, also where it was changed back", async () => {
    const artifacts = [baked("k3s 1")];
    const missing = [binary({ kind: "path", path: "/nowhere/k3s" }, "x")];
    const apply = (word: string, with_: ArtifactOrder[]): string =>
      renderApply({ node, files: [file(word)], artifacts: with_ });
    const gone = renderApply({ node, files: [{ ...file(""), content: undefined }], artifacts });
    const all = [apply("one", artifacts), apply("two", missing), apply("two", artifacts), gone];
    const results = await run([...all, gone]);
    assert.deepEqual(
      results.map(({ output }) => /groundwork-result (\w+)/.exec(output)?.[1]),
      ["started", undefined, "restarted", "restarted", "same"],
    );
  });

  it("restores a snapshot once, and again where that broke off: half of one is no datastore", async () => {
    const db = "/var/lib/rancher/k3s/server/db";
    /** Stands in for k3s, which cannot run beside the test: it writes half of what it shall, or all. */
    const k3s = (exit: number): string =>
      `mkdir -p /usr/local/bin && printf '%s\\n' '#!/bin/bash' 'mkdir -p ${db}/snapshots ${db}/etcd/member; echo x >>/var/lib/resets; exit ${String(exit)}' >/usr/local/bin/k3s && chmod 755 /usr/local/bin/k3s`;
    const server: NodeArguments = { ...node, role: "server" };
    const order = { node: server, files: [], artifacts: [] };
    const restore = renderApply({ ...order, restoreFrom: "daily-1" });
    const probe = renderProbe("server");
    const look = `cat /var/lib/resets; ls ${db}`;
    const results = await run([
      ...[`mkdir -p ${db}/snapshots`, probe, k3s(1), restore, probe],
      ...[k3s(0), restore, probe, restore, look],
    ]);
    const data = (index: number): unknown => parseProbe(results[index]?.output ?? "")?.data;
    assert.deepEqual([results[3]?.exitCode, results[6]?.exitCode], [1, 0]);
    assert.deepEqual([data(1), data(4), data(7)], ["none", "none", "etcd"]);
    assert.equal(results[9]?.output, "x\nx\netcd\nsnapshots\n");
    const [, , , after, seen] = await run([
      ...[`mkdir -p ${db}`, k3s(1), restore, renderApply(order), `ls ${db}`],
    ]);
    assert.equal(after?.exitCode, 0);
    assert.equal(
      seen?.output,
      "snapshots\n",
      "who joins another server has no half of a datastore",
    );
  });

  it("refuses a binary of another digest, before k3s is started or the old binary is touched", async () => {
    const good = renderApply({ node, files: [], artifacts: [baked("k3s 1")] });
    const artifact = { ...baked("k3s 2", "next"), want: "another" };
    write("next", "tampered");
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
      ...{ data: "none", joined: false, active: false, token: "-", certificates: 0, server: "" },
    });
    assert.deepEqual(parseProbe(results[3]?.output ?? ""), {
      ...{
        data: "none",
        joined: true,
        active: true,
        token: "-",
        certificates: 0,
        server: "https://10.0.0.1:6443",
      },
    });
  });

  it("restarts a server for tokens that an earlier run had only put there, and keeps the old one", async () => {
    const server: NodeArguments = { ...node, role: "server" };
    const tokens = (word: string) => ({
      token: `${word} token`,
      agentToken: `${word} agent token`,
    });
    const artifacts = [baked("k3s 1")];
    const apply = (word: string): string =>
      renderApply({ node: server, files: listTokenFiles(tokens(word), "server"), artifacts });
    const probe = renderProbe("server");
    const results = await run([
      ...[apply("old"), probe, renderTokenFiles(tokens("new"), "server"), probe],
      ...[apply("new"), probe, apply("new")],
      `cd ${oldTokens} && cat * && stat -c %a . *`,
    ]);
    const output = (index: number): string => results[index]?.output ?? "";
    const seen = (index: number): string | undefined => parseProbe(output(index))?.token;
    assert.equal(seen(1), tokenDigest(tokens("old"), "server"));
    assert.equal(seen(3), "-", "it was not restarted with it yet");
    assert.match(output(4), /groundwork-result restarted/);
    assert.equal(seen(5), tokenDigest(tokens("new"), "server"));
    assert.match(output(6), /groundwork-result same/);
    assert.equal(output(7), "old token\n700\n600\n");
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
