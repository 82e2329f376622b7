import assert from "node:assert/strict";
import { renderRotateToken } from "../../providers/k3s-cluster/core/tokens.ts";
import { K3sServer, serverAddress } from "../support/k3s-server.ts";
import { requireNeeds } from "../support/needs.ts";

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

  describe("the script that rotates the server token", () => {
    it("has the server take it, also when it is asked twice", () => {
      for (const _ of [1, 2]) {
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
