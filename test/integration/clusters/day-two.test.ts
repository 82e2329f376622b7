import assert from "node:assert/strict";
import * as fs from "node:fs";
import { stringify } from "yaml";
import {
  type Access,
  parseToken,
  renderGrant,
  renderRevoke,
} from "../../../providers/k3s-cluster/core/access.ts";
import { renderRotateToken } from "../../../providers/k3s-cluster/core/tokens.ts";
import { parseClusterKubeconfig, withToken } from "../../../scripts/lib/kubeconfig-plan.ts";
import { K3sServer, serverAddress } from "../../support/k3s-server.ts";
import { waitUntilReady } from "../../support/scratch.ts";
import { requireNeeds } from "../../support/needs.ts";

// What Groundwork does to a server, on the stand-in for k3s (tools/k3s).

describe("day two of a server", function () {
  this.timeout(240_000);
  const config = {
    ...{ "disable-agent": true, "node-name": "cp-1", "node-ip": serverAddress },
    ...{ "cluster-init": true, token: "first-secret", "agent-token": "agents-secret" },
  };
  let server: K3sServer;
  let cleanUp = (): Promise<void> => Promise.resolve();

  before(async function () {
    requireNeeds(this, ["root", "netns", "mountns", "curl", "k3s"]);
    server = new K3sServer();
    cleanUp = () => server.remove();
    server.configure(config);
    server.start();
    await server.ready();
  });

  after(() => cleanUp());

  const secret = (): string =>
    server.read("data", "server", "token").trim().split(":").at(-1) ?? "";

  describe("a kubeconfig for a while", () => {
    const view: Access = { role: "view", namespace: "default" };

    /** What the API allows whom a token belongs to. */
    const may = (token: string, ...what: string[]): string => {
      const config = server.file("scoped.yaml");
      const admin = parseClusterKubeconfig(server.read("k3s.yaml"));
      fs.writeFileSync(config, stringify(withToken(admin, { name: "scoped", token })));
      const args = ["kubectl", "--kubeconfig", config, "auth", "can-i", ...what];
      const { stdout, stderr } = server.k3s(...args);
      return stdout.trim() === "" ? stderr.trim() : stdout.trim();
    };
    const grant = (access: Access): ReturnType<typeof parseToken> => {
      const { exitCode, stdout, stderr } = server.script(renderGrant(access, 900));
      assert.equal(exitCode, 0, stderr);
      return parseToken(stdout);
    };

    before(async () => {
      // A controller gathers the rules of Kubernetes' own roles after the first start.
      const gathered = (): string =>
        server.k3s("kubectl", "get", "clusterrole", "edit", "-o", "jsonpath={.rules}").stdout;
      await waitUntilReady(
        "the role edit",
        () => Promise.resolve(gathered().includes("pods")),
        gathered,
      );
    });

    it("allows what its role does where it does, and ends by itself", () => {
      const { token, expires } = grant(view);
      assert.ok(Math.abs(expires - Date.now() / 1000 - 900) < 60, String(expires));
      assert.equal(may(token, "list", "pods", "--namespace", "default"), "yes");
      for (const refused of [
        ["list", "pods", "--namespace", "kube-system"],
        ["get", "secrets", "--namespace", "default"],
        ["create", "pods", "--namespace", "default"],
        ["list", "nodes"],
      ])
        assert.equal(may(token, ...refused), "no", refused.join(" "));
    });

    it("is for every namespace where none is named", () => {
      const { token } = grant({ role: "edit" });
      assert.equal(may(token, "create", "pods", "--namespace", "kube-system"), "yes");
    });

    it("ends at once when it is taken back, also twice", () => {
      const { token } = grant(view);
      for (let times = 0; times < 2; times += 1)
        assert.equal(server.script(renderRevoke(view)).exitCode, 0);
      assert.match(may(token, "list", "pods"), /Unauthorized|must be logged in/);
    });

    it("tells of a namespace that is not there", () => {
      const { exitCode, stderr } = server.script(
        renderGrant({ role: "view", namespace: "nowhere" }, 900),
      );
      assert.notEqual(exitCode, 0);
      assert.match(stderr, /namespaces "nowhere" not found/);
    });
  });

  describe("the script that rotates the server token", () => {
    it("has the server take it, also when it is asked twice", () => {
      for (let times = 0; times < 2; times += 1) {
        const { exitCode, stderr } = server.script(renderRotateToken("second-secret"));
        assert.equal(exitCode, 0, stderr);
        assert.equal(secret(), "second-secret");
      }
    });

    it("leaves the cluster one that starts with the new token, and not with the old one", async () => {
      await server.stop();
      server.start();
      assert.equal(await server.ended(), 1);
      assert.match(server.log, /encrypted with different token/);
      server.configure({ ...config, token: "second-secret" });
      server.start();
      await server.ready();
    });

    it("tells what k3s says where it refuses", () => {
      const { exitCode, stderr } = server.script(renderRotateToken(""));
      assert.equal(exitCode, 1);
      assert.match(stderr, /k3s did not take the new token \(HTTP 400\): token must not be empty/);
    });
  });
});
