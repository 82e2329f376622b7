import { execa } from "execa";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { stringify } from "yaml";
import { pins } from "../../scripts/lib/tools-pins.ts";
import { toolPaths } from "../../scripts/lib/tools-paths.ts";
import { type CheckoutCopy, copyCheckout, type Outcome } from "../support/checkout-copy.ts";
import { editStackFile, parseLastLine, succeed } from "../support/lab-driver.ts";
import { compareSnapshots, readSnapshot, type Snapshot } from "../support/machine-snapshot.ts";
import { requireNeeds } from "../support/needs.ts";
import { freePort, makeScratch, type Scratch } from "../support/scratch.ts";

// On the stand-in for k3s (tools/k3s), which is Kubernetes' own programs in one binary.

const stack = "k3se2e";
const name = `gwk3-${process.pid.toString(36)}`; // several checkouts may be tested at once
const cluster = "kube";
const newBinary = "/usr/local/lib/k3s/next";

interface Outputs {
  clusters: Record<
    string,
    { nodes: { name: string; version: string; ready: boolean }[]; timings: Record<string, number> }
  >;
  kubeconfigs: Record<string, string>;
}

const sha256 = (file: string): string =>
  createHash("sha256").update(fs.readFileSync(file)).digest("hex");

function renderStackFile(port: number, airgap: string): string {
  const { k3s, "k3s-before": before } = toolPaths(process.env);
  const pool = {
    ...{ network: name, hypervisor: "local", vcpus: 1 },
    rootVolume: { image: "k3s-node", sizeGiB: 4 },
  };
  const images = "/var/lib/rancher/k3s/agent/images/k3s-airgap-images.tar";
  return stringify({
    config: {
      "groundwork:embedded": { name, volumeGroupSizeGiB: 20 },
      "groundwork:objectStore": { endpoint: `http://127.0.0.1:${String(port)}` },
      "groundwork:images": [
        {
          name: "k3s-node",
          build: {
            sizeGiB: 3,
            packages: [
              ...["containerd", "runc", "containernetworking-plugins", "iptables", "kmod"],
              ...["conntrack", "ethtool", "socat", "zstd"],
            ],
            files: [
              { source: before, path: "/usr/local/bin/k3s", mode: "0755" },
              { source: k3s, path: newBinary, mode: "0755" },
              { source: airgap, path: images, mode: "0644" },
            ],
          },
        },
      ],
      "groundwork:hypervisors": [{ name: "local", volumeGroup: name }],
      "groundwork:networks": [{ name, hypervisor: "local", cidr: "192.168.178.0/24", dhcp: false }],
      "groundwork:clusters": [
        {
          name: cluster,
          version: pins.k3sBefore,
          binary: { from: "image", sha256: sha256(before) },
          // Emulated machines on a busy processor take their time to boot.
          readyTimeoutSeconds: 1500,
          upgrade: { drainTimeoutSeconds: 900 },
          // CoreDNS is the one packaged component that the stand-in has, too.
          disable: ["servicelb", "traefik", "local-storage", "metrics-server"],
          servers: [
            {
              ...{ ...pool, name: "server", vcpus: 2, memoryMiB: 2048 },
              nodes: [{ name: "k3-cp", address: "192.168.178.10" }],
            },
          ],
          agents: [
            {
              ...{ ...pool, name: "worker", memoryMiB: 1024, labels: { tier: "web" } },
              rootVolume: { ...pool.rootVolume, allowStop: true },
              nodes: [
                { name: "k3-w1", address: "192.168.178.11" },
                { name: "k3-w2", address: "192.168.178.12" },
              ],
            },
          ],
        },
      ],
    },
  });
}

const labels = { app: "hello" };
const container = {
  ...{ name: "hello", image: "docker.io/groundwork/hello:1", imagePullPolicy: "IfNotPresent" },
  readinessProbe: { httpGet: { path: "/", port: 8080 } },
};
/** Two pods, each on another node where there are two. */
const workload = [
  {
    ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "hello" } },
    spec: {
      ...{ replicas: 2, selector: { matchLabels: labels } },
      template: {
        metadata: { labels },
        spec: {
          ...{ nodeSelector: { tier: "web" }, containers: [container] },
          terminationGracePeriodSeconds: 5,
        },
      },
    },
  },
  {
    ...{ apiVersion: "v1", kind: "Service", metadata: { name: "hello" } },
    spec: { selector: labels, ports: [{ port: 8080 }] },
  },
];

describe("a k3s cluster from nothing to nothing", function () {
  this.timeout(30 * 60_000);
  this.bail(true);
  let lab: CheckoutCopy;
  let untouched: Snapshot;
  let kubeconfig: string;
  let scratch: Scratch;

  before(async function () {
    requireNeeds(this, ["root", "loop", "lvm", "netns", "mountns", "qemu", "ovmf", "libvirt"]);
    requireNeeds(this, ["minio", "pulumi", "netcat", "mkisofs", "mmdebstrap", "k3s"]);
    untouched = readSnapshot();
    scratch = makeScratch("k3s-e2e");
    const airgap = path.join(scratch.folder, "airgap.tar");
    const { "k3s-airgap": writeImages, coredns } = toolPaths(process.env);
    await execa(writeImages, [airgap, coredns]);
    lab = copyCheckout(stack, renderStackFile(await freePort(), airgap));
  });

  after(async () => {
    await lab.make("down").done;
    lab.remove();
    scratch.remove();
  });

  const pulumi = (args: string): Promise<Outcome> =>
    lab.shell(`node_modules/.bin/pulumi ${args} --non-interactive --stack ${stack}`);
  const outputs = async (): Promise<Outputs> =>
    JSON.parse(await succeed(pulumi("stack output --json --show-secrets"))) as Outputs;
  /** kubectl on this machine, with the kubeconfig that `make kubeconfig` wrote. */
  const kubectl = (args: string): Promise<Outcome> =>
    lab.shell(`${toolPaths(process.env).k3s} kubectl --kubeconfig ${kubeconfig} ${args}`);
  const edit = (...edits: Parameters<typeof editStackFile>[1]): void =>
    fs.writeFileSync(lab.stackFile, editStackFile(fs.readFileSync(lab.stackFile, "utf8"), edits));
  const expectNodes = async (version: string, ...names: string[]): Promise<void> => {
    const { nodes, timings } = (await outputs()).clusters[cluster] ?? { nodes: [] };
    assert.deepEqual(
      nodes.map((node) => [node.name, node.version, node.ready]).sort(),
      names.map((node) => [node, version, true]).sort(),
    );
    console.log(`      ${JSON.stringify(timings)}`);
  };

  const agents = ["k3-w1", "k3-w2"];
  const nodes = ["k3-cp", ...agents];
  const bootId = "cat /proc/sys/kernel/random/boot_id";
  const on = (node: string, command: string): Promise<string> =>
    succeed(lab.shell(`ssh -F ${lab.home}/ssh/${stack}/config ${node} ${command}`));

  /** The workload is complete, on these nodes, answers from another one, and finds itself by its name. */
  const expectPods = async (...nodes: string[]): Promise<void> => {
    await succeed(kubectl("rollout status deployment/hello --timeout=300s"));
    const placed = await succeed(
      kubectl("get pods -l app=hello -o jsonpath='{range .items[*]}{.spec.nodeName} {end}'"),
    );
    assert.deepEqual(placed.trim().split(" ").sort(), nodes);
    const service = "/api/v1/namespaces/default/services/hello:8080/proxy/";
    assert.match(await succeed(kubectl(`get --raw ${service}`)), /^hello from hello-/m);
    const address = await succeed(kubectl("get service hello -o jsonpath='{.spec.clusterIP}'"));
    await succeed(kubectl("-n kube-system rollout status deployment/coredns --timeout=300s"));
    const resolved = await succeed(kubectl(`get --raw ${service}resolve/hello`));
    assert.equal(resolved.trim(), address.trim());
  };

  it("has every node Ready, from an image that has all of it", async () => {
    const output = await succeed(lab.make("up"));
    assert.doesNotMatch(output, /has come, its digest is right/, "something was downloaded");
    await expectNodes(pins.k3sBefore, ...nodes);
  });

  it("has nothing to do the second time", async () => {
    await succeed(pulumi("preview --expect-no-changes"));
  });

  const openTunnel = async (): Promise<void> => {
    const result = parseLastLine(await succeed(lab.make("kubeconfig", "--json")));
    kubeconfig = (result as { file: string }).file;
  };

  it("lists its nodes to kubectl on this machine, through a tunnel", async () => {
    await openTunnel();
    assert.equal(fs.statSync(kubeconfig).mode & 0o777, 0o600);
    const listed = await succeed(kubectl("get nodes --no-headers"));
    for (const node of nodes) assert.match(listed, new RegExp(`^${node} +Ready `, "m"));
    assert.match((await outputs()).kubeconfigs[cluster] ?? "", /https:\/\/192\.168\.178\.10:6443/);
  });

  it("runs pods on the nodes with the label that they ask for, and the API reaches them there", async () => {
    const file = path.join(lab.folder, "workload.yaml");
    fs.writeFileSync(file, workload.map((each) => stringify(each)).join("---\n"));
    await succeed(kubectl(`apply -f ${file}`));
    await expectPods(...agents);
  });

  it("comes back after a power cut with all that ran on it, by `make up`", async () => {
    const booted = await Promise.all(nodes.map((node) => on(node, bootId)));
    for (const node of nodes) await succeed(lab.shell(`virsh --quiet destroy ${node}`));
    assert.equal((await succeed(pulumi("preview --diff"))).match(/\+ start *: true/g)?.length, 3);
    await succeed(lab.make("up"));
    const now = await Promise.all(nodes.map((node) => on(node, bootId)));
    assert.ok(nodes.every((_, index) => now[index] !== booted[index]));
    await expectNodes(pins.k3sBefore, ...nodes);
    await openTunnel(); // the one before went with the server
    await expectPods(...agents);
    await succeed(pulumi("preview --expect-no-changes"));
  });

  it("boots the agents with more memory, one after the other, from the disks that they had", async () => {
    const booted = await Promise.all(nodes.map((node) => on(node, bootId)));
    for (const node of agents) await on(node, "touch of-the-disk-before");
    edit([["clusters", 0, "agents", 0, "memoryMiB"], 1152]);
    const output = await succeed(lab.make("up"));
    assert.doesNotMatch(output, /was switched off/);
    const now = await Promise.all(nodes.map((node) => on(node, bootId)));
    assert.deepEqual(
      nodes.filter((_, index) => now[index] !== booted[index]),
      agents,
    );
    for (const node of agents) assert.match(await on(node, "ls"), /of-the-disk-before/);
    assert.doesNotMatch(await succeed(kubectl("get nodes --no-headers")), /SchedulingDisabled/);
    // Those of the agent that was drained last went to the other one.
    await expectPods("k3-w1", "k3-w1");
    await succeed(pulumi("preview --expect-no-changes"));
  });

  it("writes the agents' disks anew, one after the other, and has them join again", async () => {
    const booted = await on("k3-cp", bootId);
    edit([["clusters", 0, "agents", 0, "rootVolume", "generation"], 1]);
    await succeed(lab.make("up"));
    await expectNodes(pins.k3sBefore, ...nodes);
    for (const node of agents) assert.equal(await on(node, "ls"), "");
    assert.equal(await on("k3-cp", bootId), booted);
    await expectPods("k3-w1", "k3-w1");
    await succeed(pulumi("preview --expect-no-changes"));
  });

  it("drains an agent that goes, deletes its Node, and has another one join", async () => {
    edit([
      ["clusters", 0, "agents", 0, "nodes"],
      [
        { name: "k3-w1", address: "192.168.178.11" },
        { name: "k3-w3", address: "192.168.178.13" },
      ],
    ]);
    const preview = await succeed(pulumi("preview --diff"));
    assert.match(preview, /drain k3-w2 and delete its Node/);
    assert.match(preview, /join agents k3-w3/);
    await succeed(lab.make("up"));
    await expectNodes(pins.k3sBefore, "k3-cp", "k3-w1", "k3-w3");
    await expectPods("k3-w1", "k3-w1");
  });

  it("upgrades the server, then the agents, as preview says", async () => {
    const binary = { from: "image", path: newBinary, sha256: sha256(toolPaths(process.env).k3s) };
    edit([["clusters", 0, "version"], pins.k3s], [["clusters", 0, "binary"], binary]);
    const preview = await succeed(pulumi("preview --diff"));
    assert.match(preview, /upgrade server k3-cp from v1\.34\.2\+k3s1 to v1\.34\.3\+k3s1/);
    assert.doesNotMatch(preview, /libvirt:index\/domain:Domain: \(replace\)/);
    await succeed(lab.make("up"));
    await expectNodes(pins.k3s, "k3-cp", "k3-w1", "k3-w3");
    await expectPods("k3-w1", "k3-w1");
    await succeed(pulumi("preview --expect-no-changes"));
  });

  it("leaves nothing behind", async () => {
    await succeed(lab.make("down"));
    assert.deepEqual(compareSnapshots(untouched, readSnapshot()), []);
    assert.equal(fs.existsSync(lab.home), false);
  });
});
