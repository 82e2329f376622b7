import assert from "node:assert/strict";
import { renderEnvironmentFile } from "../../../providers/compose-project/core/manifest.ts";
import { parseHostSettings, planHostUri, planSettings } from "../../../scripts/lib/deploy-plan.ts";

describe("parseHostSettings", () => {
  it("reads what a deployment wrote, so that writing it again changes nothing", () => {
    const variables = { HTTP_PORT: "80", PASSWORD: "a'b$c=d" };
    const composeFiles = ["compose.yaml", "compose.pull.yaml"];
    const text = renderEnvironmentFile({
      project: "lab",
      composeFiles: [...composeFiles, "compose.groundwork.yaml"],
      variables,
    });
    assert.deepEqual(parseHostSettings(text), { project: "lab", composeFiles, variables });
  });

  it("takes a file of somebody else for none", () => {
    for (const text of ["", "PASSWORD=x\n", "COMPOSE_FILE='compose.yaml'\n"])
      assert.equal(parseHostSettings(text), undefined);
  });
});

describe("planHostUri", () => {
  it("writes user, host, port and files into a URI", () => {
    const uri = planHostUri("deploy@192.168.122.250:2222", { key: "/keys/a b", knownHosts: "/k" });
    assert.equal(uri, "ssh://deploy@192.168.122.250:2222?keyfile=%2Fkeys%2Fa+b&known_hosts=%2Fk");
  });

  for (const host of ["", "-oProxyCommand=x", "deploy@h/path", "a b", "deploy@h?x=y"])
    it(`refuses ${JSON.stringify(host)}`, () => {
      assert.throws(() => planHostUri(host, {}), { code: "bad-host" });
    });
});

describe("planSettings", () => {
  it("takes secrets out of the environment", () => {
    assert.deepEqual(planSettings(["PORT=80", "PASSWORD"], { PASSWORD: "x=y" }), {
      environment: { PORT: "80" },
      secrets: { PASSWORD: "x=y" },
    });
  });

  it("refuses a secret that is not there, and shows none in doing so", () => {
    assert.throws(() => planSettings(["PASSWORD"], {}), { code: "missing-secret" });
    assert.throws(
      () => planSettings(["1=hunter2"], {}),
      (error: Error) => {
        assert.doesNotMatch(error.message, /hunter2/);
        return true;
      },
    );
  });
});
