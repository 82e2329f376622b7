import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { requireNeeds } from "../support/needs.ts";
import { PulumiProject } from "../support/pulumi-project.ts";

interface Resource {
  urn: string;
  type: string;
  inputs: Record<string, unknown>;
  outputs: Record<string, unknown>;
  initErrors?: string[];
}

describe("a cluster under Pulumi whose nodes cannot be entered", function () {
  this.timeout(240_000);
  let project: PulumiProject;
  let clear = (): void => undefined;
  let args: Record<string, unknown>;
  const kept = { kubeconfig: "what the last run saw", members: [], timings: {} };

  const program = (changes: object): void =>
    project.program(
      {
        KeyPair: "providers/key-pair/resource.ts",
        K3sRollout: "providers/k3s-cluster/resource.ts",
      },
      `new KeyPair("pair", { comment: "" });
       new K3sRollout("kube", ${JSON.stringify({ ...args, ...changes })});`,
    );
  const readState = async (): Promise<{ deployment: { resources: Resource[] } }> =>
    JSON.parse(await project.succeed("stack", "export", "--show-secrets")) as {
      deployment: { resources: Resource[] };
    };
  const readCluster = async (): Promise<Resource> => {
    const { deployment } = await readState();
    const found = deployment.resources.find(({ type }) => type.endsWith(":K3sRollout"));
    return found ?? assert.fail("there is no cluster in the state");
  };

  /** There is no cluster here, so its state is made of another resource's. */
  async function pretendThatItExists(): Promise<void> {
    const state = await readState();
    const pair = state.deployment.resources.find(({ type }) => type.endsWith(":KeyPair"));
    assert.ok(pair);
    const inputs = {
      ...args,
      ...{ stack: "test", plan: [] },
      __provider: String(pair.inputs["__provider"]).replaceAll("key-pair", "k3s-cluster"),
    };
    state.deployment.resources.push({
      ...pair,
      ...{ id: "test/kube", type: pair.type.replace("KeyPair", "K3sRollout") },
      urn: pair.urn.replace("KeyPair::pair", "K3sRollout::kube"),
      ...{ inputs, outputs: { ...inputs, ...kept } },
    });
    const file = path.join(project.folder, "state.json");
    fs.writeFileSync(file, JSON.stringify(state));
    await project.succeed("stack", "import", "--file", file);
  }

  before(async function () {
    requireNeeds(this, ["pulumi"]);
    project = new PulumiProject();
    clear = () => project.remove();
    const key = path.join(project.folder, "key");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key]);
    const node = {
      ...{ name: "cp1", role: "server", address: "127.0.0.1", user: "nobody", hasRoute: false },
      hostPublicKey: fs.readFileSync(`${key}.pub`, "utf8").trim(),
      hypervisorUri: "qemu+unix:///system?socket=/none",
      ...{ machine: "", config: {}, labels: {}, taints: [] },
    };
    args = {
      ...{ cluster: "kube", version: "v1.34.3+k3s1", datastore: "sqlite", waitForReady: false },
      ...{ coreDns: false, binary: { from: "release" }, nodes: [node], apiAddress: "127.0.0.1" },
      ...{ privateKey: fs.readFileSync(key, "utf8"), token: "former", agentToken: "agents" },
      ...{ maxUnavailable: 1, drainTimeoutSeconds: 10, timeoutSeconds: 2 },
    };
    await project.succeed("stack", "init", "test");
    project.program(
      { KeyPair: "providers/key-pair/resource.ts" },
      `new KeyPair("pair", { comment: "" });`,
    );
    await project.succeed("up", "--yes", "--skip-preview");
    await pretendThatItExists();
  });

  after(() => clear());

  it("has nothing to do as long as nothing changes", async () => {
    program({});
    await project.succeed("preview", "--expect-no-changes");
  });

  it("is waited for where it is to be Ready, for nobody can say that it is", async () => {
    program({ waitForReady: true });
    const preview = await project.succeed("preview", "--diff");
    assert.match(preview, /\+ +\[0\]: "wait until cp1 can be seen to be Ready"/);
  });

  it("fails an update, and keeps what is still known", async () => {
    program({ coreDns: true, token: "t0p-secret" });
    const { exitCode, all } = await project.pulumi("up", "--yes", "--skip-preview");
    assert.notEqual(exitCode, 0);
    assert.match(all, /Node "cp1" could not be entered in time/);
    const { outputs, initErrors } = await readCluster();
    assert.deepEqual(
      Object.entries(outputs["kubeconfig"] as object).find(([key]) => key === "plaintext"),
      ["plaintext", JSON.stringify(kept.kubeconfig)],
    );
    assert.equal(initErrors?.length, 1);
  });

  it("does not take the node for what it was when the change is taken back", async () => {
    program({});
    const preview = await project.pulumi("preview", "--expect-no-changes");
    assert.notEqual(preview.exitCode, 0, preview.all);
    await project.pulumi("up", "--yes", "--skip-preview");
    const again = await project.pulumi("preview", "--expect-no-changes");
    assert.notEqual(again.exitCode, 0, "an update that failed twice was forgotten");
  });

  it("has kept the token encrypted that it failed with", () => {
    assert.equal(project.stateFiles().includes("t0p-secret"), false);
  });
});
