import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { loadEnvironment, parseEnvironment } from "../../../scripts/lib/environment.ts";

const checkout = path.resolve(import.meta.dirname, "../../..");

/** A copy of scripts/env in a checkout of its own, with a stack file. */
function makeCheckout(stackFile: string): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork env ")); // mind the spaces
  fs.mkdirSync(path.join(folder, "scripts"));
  fs.copyFileSync(path.join(checkout, "scripts/env"), path.join(folder, "scripts/env"));
  fs.writeFileSync(path.join(folder, "Pulumi.local.yaml"), stackFile);
  return folder;
}

function run(folder: string, env: Record<string, string> = {}, stack = "local") {
  const result = spawnSync(path.join(folder, "scripts/env"), [stack], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"] ?? "", HOME: "/home/somebody", ...env },
  });
  return result;
}

/** What a shell makes of the printed exports. */
function evaluate(exports: string, env: Record<string, string> = {}): Record<string, string> {
  const result = spawnSync("bash", ["-c", 'eval "$1"; env -0', "bash", exports], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"] ?? "", ...env },
  });
  return parseEnvironment(result.stdout);
}

const embedded = "config:\n  groundwork:embedded:\n    name: lab\n";
const facts = {
  hypervisor: {
    kind: "embedded",
    uri: "qemu+unix:///system?socket=/run/groundwork/lab/libvirt-sock",
    networkNamespace: "/run/netns/lab",
  },
  volumeGroup: { kind: "embedded", activation: "loop" },
  objectStore: { kind: "embedded", endpoint: "http://127.0.0.1:9000", credentialsFile: "/c.json" },
};

describe("scripts/env", () => {
  let folder = "";
  afterEach(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  const writeFacts = (value: object): void => {
    fs.mkdirSync(path.join(folder, ".groundwork/embedded"), { recursive: true });
    fs.writeFileSync(path.join(folder, ".groundwork/embedded/facts.json"), JSON.stringify(value));
  };

  it("prints exports that a shell can read, and nothing else, on a fresh clone", () => {
    folder = makeCheckout(embedded);
    const { stdout, stderr, status } = run(folder);
    assert.equal(status, 0);
    assert.equal(stderr, "");
    for (const line of stdout.trimEnd().split("\n"))
      assert.match(line, /^export [A-Z_]+=\S|^unset [A-Z_]+$/);
    const home = path.join(folder, ".groundwork");
    const found = evaluate(stdout);
    assert.equal(found["GROUNDWORK_HOME"], home);
    assert.equal(found["PULUMI_BACKEND_URL"], `file://${home}/state`);
    assert.equal(found["PULUMI_CONFIG_PASSPHRASE_FILE"], path.join(home, "passphrase"));
    assert.equal(found["PULUMI_HOME"], "/home/somebody/.cache/groundwork/pulumi");
    assert.equal(found["LIBVIRT_DEFAULT_URI"], undefined);
  });

  it("puts its passphrase before one that the user has set for other projects", () => {
    folder = makeCheckout(embedded);
    const found = evaluate(run(folder).stdout, { PULUMI_CONFIG_PASSPHRASE: "other" });
    assert.equal(found["PULUMI_CONFIG_PASSPHRASE"], undefined);
  });

  it("makes a passphrase once, for its owner alone", () => {
    folder = makeCheckout(embedded);
    run(folder);
    const file = path.join(folder, ".groundwork/passphrase");
    const first = fs.readFileSync(file, "utf8");
    assert.ok(first.length >= 40);
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    assert.equal(fs.statSync(path.join(folder, ".groundwork/state")).mode & 0o777, 0o700);
    run(folder);
    assert.equal(fs.readFileSync(file, "utf8"), first);
    assert.deepEqual(fs.readdirSync(path.join(folder, ".groundwork")).sort(), [
      "passphrase",
      "state",
    ]);
  });

  it("refuses a new passphrase for stacks that an old one closed", () => {
    folder = makeCheckout(embedded);
    const stacks = path.join(folder, ".groundwork/state/.pulumi/stacks/groundwork");
    fs.mkdirSync(stacks, { recursive: true });
    fs.writeFileSync(path.join(stacks, "local.json"), "{}");
    const { status, stdout, stderr } = run(folder);
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /passphrase .* is gone/);
  });

  it("adds where the embedded hypervisor is, for a stack that uses one", () => {
    folder = makeCheckout(embedded);
    writeFacts(facts);
    const found = evaluate(run(folder).stdout);
    assert.equal(found["LIBVIRT_DEFAULT_URI"], facts.hypervisor.uri);
    assert.equal(found["GROUNDWORK_NETWORK_NAMESPACE"], "/run/netns/lab");
    assert.equal(found["GROUNDWORK_OBJECT_STORE_CREDENTIALS"], "/c.json");
    assert.equal(found["GROUNDWORK_IMAGE_CACHE"], path.join(folder, ".groundwork/cache"));
  });

  it("says where the hypervisor is only while its name is not another checkout's", () => {
    folder = makeCheckout(embedded);
    const socket = path.join(folder, "run/libvirt-sock");
    const uri = `qemu+unix:///system?socket=${socket}`;
    writeFacts({ ...facts, hypervisor: { ...facts.hypervisor, uri } });
    fs.mkdirSync(path.dirname(socket));
    const home = path.join(folder, ".groundwork");
    for (const [owner, expected] of [
      [fs.realpathSync(home), uri],
      ["/srv/other/.groundwork", undefined],
    ] as const) {
      fs.writeFileSync(path.join(folder, "run/owner"), owner);
      const found = evaluate(run(folder).stdout);
      assert.equal(found["LIBVIRT_DEFAULT_URI"], expected, owner);
      assert.equal(found["GROUNDWORK_NETWORK_NAMESPACE"] === undefined, expected === undefined);
    }
  });

  it("says nothing of it to a stack that uses none", () => {
    folder = makeCheckout("config: {}\n");
    writeFacts(facts);
    const found = evaluate(run(folder).stdout);
    assert.equal(found["LIBVIRT_DEFAULT_URI"], undefined);
    assert.equal(found["GROUNDWORK_IMAGE_CACHE"], undefined);
  });

  it("leaves libvirt's default alone where the system's own hypervisor is used", () => {
    folder = makeCheckout(embedded);
    writeFacts({ ...facts, hypervisor: { kind: "system", uri: "qemu:///system" } });
    const found = evaluate(run(folder).stdout);
    assert.equal(found["LIBVIRT_DEFAULT_URI"], undefined);
    assert.equal(found["GROUNDWORK_NETWORK_NAMESPACE"], undefined);
    assert.equal(found["GROUNDWORK_IMAGE_CACHE"], path.join(folder, ".groundwork/cache"));
  });

  it("takes folders from the environment", () => {
    folder = makeCheckout(embedded);
    const home = path.join(folder, "elsewhere");
    const found = evaluate(
      run(folder, { GROUNDWORK_HOME: home, GROUNDWORK_CACHE: "/c", PULUMI_HOME: "/p" }).stdout,
    );
    assert.equal(found["GROUNDWORK_HOME"], home);
    assert.equal(found["GROUNDWORK_CACHE"], "/c");
    assert.equal(found["PULUMI_HOME"], "/p");
  });

  it("refuses a stack name that is none", () => {
    folder = makeCheckout(embedded);
    const { status, stderr } = run(folder, {}, "../x y");
    assert.equal(status, 1);
    assert.match(stderr, /Cannot use/);
  });
});

describe("loadEnvironment", () => {
  it("takes over what scripts/env exports, and what it unsets", async () => {
    const before = { ...process.env };
    const home = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-env-"));
    try {
      Object.assign(process.env, { GROUNDWORK_HOME: home, PULUMI_CONFIG_PASSPHRASE: "other" });
      const environments = [await loadEnvironment("local"), process.env];
      for (const environment of environments) {
        assert.equal(environment["PULUMI_CONFIG_PASSPHRASE_FILE"], path.join(home, "passphrase"));
        assert.equal(environment["PULUMI_CONFIG_PASSPHRASE"], undefined);
      }
    } finally {
      for (const name of Object.keys(process.env)) Reflect.deleteProperty(process.env, name);
      Object.assign(process.env, before);
      fs.rmSync(home, { recursive: true });
    }
  });
});
