import assert from "node:assert/strict";
import type { NodeArguments } from "../../providers/k3s-cluster/core/arguments.ts";
import { renderApply } from "../../providers/k3s-cluster/core/node-script.ts";
import {
  type EtcdSnapshot,
  joinedScript,
  listSnapshotsScript,
  parseSnapshots,
  renderRejoin,
  renderReset,
} from "../../providers/k3s-cluster/core/restore.ts";
import {
  renderSnapshotStore,
  snapshotStoreFile,
} from "../../providers/k3s-cluster/core/snapshots.ts";
import { oldTokens } from "../../providers/k3s-cluster/core/tokens.ts";
import { type TestMinio, startMinio } from "../support/minio.ts";
import { requireNeeds } from "../support/needs.ts";
import { ScriptedNode } from "../support/scripted-node.ts";

const folder = "/var/lib/rancher/k3s/server/db";
const etc = "/etc/rancher/k3s";
const snapshot: EtcdSnapshot = {
  ...{ name: "daily-cp1-1767225600", place: "disk", sizeBytes: 1, takenSeconds: 1767225600 },
};
const config = `mkdir -p ${etc}/config.yaml.d && printf '%s\\n' 'node-name: "cp1"' 'server: "https://10.0.0.9:6443"' >${etc}/config.yaml`;

/** Stands in for k3s, which cannot run beside the test: remembers what it was asked, or fails. */
const k3s = (exit: number): string =>
  `mkdir -p /usr/local/bin && printf '%s\\n' '#!/bin/bash' 'echo "$*" >>/var/lib/asked; cat ${etc}/token >>/var/lib/asked' 'echo "the log of k3s"; exit ${String(exit)}' >/usr/local/bin/k3s && chmod 755 /usr/local/bin/k3s`;

describe("the scripts that restore etcd", function () {
  this.timeout(60_000);
  let machine: ScriptedNode;

  before(function () {
    requireNeeds(this, ["root", "mountns"]);
  });
  beforeEach(() => {
    machine = new ScriptedNode();
  });
  afterEach(() => machine.remove());

  const tokens = [
    `mkdir -p ${oldTokens} && echo present >${etc}/token`,
    // Each ceased to be the cluster's token at its time: before the snapshot, after it, later still.
    ...[
      ["2025-12-01", "first"],
      ["2026-01-05", "second"],
      ["2026-02-01", "third"],
    ].map(
      ([time = "", word = ""]) =>
        `echo ${word} >${oldTokens}/${word} && touch -d ${time} ${oldTokens}/${word}`,
    ),
  ].join("\n");

  it("reset a server, by the token of the snapshot's time, as the only member", async () => {
    const look = `cat /var/lib/asked ${etc}/config.yaml /var/lib/groundwork/k3s/present-token`;
    const [, , , , reset, seen] = await machine.run([
      ...[config, tokens, k3s(0), `mkdir -p ${folder} && touch ${folder}/reset-flag`],
      ...[renderReset(snapshot), `${look}; ls ${folder}`],
    ]);
    assert.equal(reset?.exitCode, 0, reset?.output);
    assert.deepEqual(seen?.output.trim().split("\n"), [
      `server --cluster-reset --etcd-s3=false --cluster-reset-restore-path=${folder}/snapshots/${snapshot.name}`,
      ...["second", 'node-name: "cp1"', "cluster-init: true", "present"],
    ]);
  });

  it("use the present token for a snapshot that was taken since", async () => {
    const late = { ...snapshot, takenSeconds: 1790000000 };
    const look = "tail -n 1 /var/lib/asked; ls /var/lib/groundwork/k3s";
    const results = await machine.run([
      // A run for an earlier one broke off before the present token was the cluster's again.
      ...[config, tokens, k3s(0), renderReset(snapshot), renderReset(late), look],
    ]);
    assert.equal(results[5]?.output, "present\nreset.log\ntokens\n");
  });

  it("say why k3s did not take it, and can be run again", async () => {
    const [, , , failed, , again] = await machine.run([
      ...[config, tokens, k3s(1), renderReset(snapshot), k3s(0), renderReset(snapshot)],
    ]);
    assert.equal(failed?.exitCode, 1);
    assert.match(failed.output, /the log of k3s/);
    assert.equal(again?.exitCode, 0, again?.output);
  });

  it("have another server join the restored one, and keep what it had", async () => {
    const founder = `echo 'cluster-init: true' >>${etc}/config.yaml && sed -i /^server:/d ${etc}/config.yaml && mkdir -p ${folder}/etcd ${folder}/snapshots && echo data >${folder}/etcd/data`;
    const look = `cat ${etc}/config.yaml ${folder}/etcd-before-restore/data; ls ${folder}; cat $STATE/active`;
    const rejoin = renderRejoin("https://10.0.0.2:6443");
    const joining = (word: string): string =>
      `mkdir -p ${folder}/etcd && echo ${word} >${folder}/etcd/data`;
    const [, , , , , seen, , , later] = await machine.run([
      ...[config, founder, rejoin, joining("half"), rejoin, look],
      ...[`${joining("joined")}; ${joinedScript}`, rejoin, look],
    ]);
    const server = 'node-name: "cp1"\nserver: "https://10.0.0.2:6443"\n';
    assert.equal(seen?.output, `${server}data\netcd-before-restore\nsnapshots\nactive\n`);
    assert.equal(later?.output, `${server}joined\netcd-before-restore\nsnapshots\nactive\n`);
  });

  it("have a new server begin with a snapshot once, and try again where k3s did not take it", async () => {
    const node: NodeArguments = {
      ...{ name: "cp1", role: "server", address: "127.0.0.1", user: "deploy", hasRoute: false },
      ...{ hostPublicKey: "ssh-ed25519 AAAA", hypervisorUri: "qemu:///system", machine: "m" },
      ...{ config: {}, labels: {}, taints: [] },
    };
    const apply = renderApply({ node, files: [], artifacts: [], restoreFrom: "daily-cp1-1" });
    const asked = "grep -c restore-path=daily-cp1-1 /var/lib/asked; cat $STATE/active";
    const [, , failed, silent, , begun, , again, seen] = await machine.run([
      ...[config, `${tokens}\n${k3s(1)}`, apply, "cat $STATE/active", k3s(0), apply],
      ...[`mkdir -p ${folder}/etcd`, apply, asked],
    ]);
    assert.equal(failed?.exitCode, 1);
    assert.match(failed.output, /the log of k3s/);
    assert.notEqual(
      silent?.exitCode,
      0,
      "k3s was started on a server that should have been restored",
    );
    assert.match(begun?.output ?? "", /has the content of snapshot daily-cp1-1/);
    assert.doesNotMatch(again?.output ?? "", /has the content/);
    assert.equal(seen?.output, "2\nactive\n");
  });

  it("refuse to list on a machine that never had k3s", async () => {
    const [result] = await machine.run([listSnapshotsScript]);
    assert.equal(result?.exitCode, 1);
    assert.match(result.output, /k3s was never set up on this machine/);
  });

  describe("with an object store", () => {
    let minio: TestMinio;
    before(async function () {
      requireNeeds(this, ["minio", "curl"]);
      minio = await startMinio();
      await minio.client.makeBucket("backups");
    });
    after(() => minio.stop());

    const write = (): string => {
      const { endpoint, region, credentials } = minio;
      const store = { endpoint, region, bucket: "backups", folder: "etcd/lab" };
      const text = renderSnapshotStore(store, credentials);
      return `${config}\ncat >${snapshotStoreFile} <<'END'\n${text}END`;
    };

    it("list what is on the disk and in the store's folder", async () => {
      for (const key of [
        "daily-cp1-1767225600",
        "daily-cp2-1767225601",
        "archive/daily-cp1-1767225602",
      ])
        await minio.client.putObject("backups", `etcd/lab/${key}`, "12345");
      await minio.client.putObject("backups", "etcd/lab2/daily-cp1-1767225609", "1");
      const onDisk = `mkdir -p ${folder}/snapshots && echo -n 123 >${folder}/snapshots/${snapshot.name}`;
      const results = await machine.run([write(), onDisk, listSnapshotsScript]);
      assert.equal(results[2]?.exitCode, 0, results[2]?.output);
      assert.deepEqual(parseSnapshots(results[2].output), [
        { ...snapshot, sizeBytes: 3 },
        { ...snapshot, place: "store", sizeBytes: 5 },
        {
          ...{ name: "daily-cp2-1767225601", place: "store", sizeBytes: 5 },
          takenSeconds: 1767225601,
        },
      ]);
    });

    it("fail where the store cannot be asked, and do not call that none", async () => {
      const wrong = `sed -i 's/^etcd-s3-secret-key.*/etcd-s3-secret-key: "wrong-key"/' ${snapshotStoreFile}`;
      const results = await machine.run([write(), wrong, listSnapshotsScript]);
      assert.notEqual(results[2]?.exitCode, 0);
      assert.match(results[2]?.output ?? "", /403/);
    });
  });
});
