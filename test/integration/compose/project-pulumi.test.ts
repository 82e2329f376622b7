import * as assert from "node:assert/strict";
import { useComposeLab } from "../../support/compose-lab.ts";
import { PulumiProject } from "../../support/pulumi-project.ts";

describe("a Compose project under Pulumi", function () {
  this.timeout(300_000);
  let project: PulumiProject;
  let cleanUp = (): void => undefined;
  const password = "a secret that is nowhere";

  const declare = (more: Record<string, unknown> = {}): void => {
    const own = { stack: undefined, archives: undefined, secrets: { PASSWORD: password } };
    const all = { ...lab().args(), ...own, ...more };
    project.program(
      { ComposeProject: "providers/compose-project/resource.ts" },
      `const project = new ComposeProject("lab", ${JSON.stringify(all)});
       export const { files } = project;`,
    );
  };

  const lab = useComposeLab({
    needs: ["pulumi"],
    prepare: async () => {
      lab().reset();
      project = new PulumiProject();
      cleanUp = () => project.remove();
      declare();
      await project.succeed("stack", "init", "test");
    },
  });
  after(() => cleanUp());

  it("shows in preview what an up will do, and changes nothing", async () => {
    const shown = await project.succeed("preview", "--diff");
    assert.match(shown, /"composeUp"/);
    assert.match(shown, /create\s*: \[\s*\[0\]: "web"/);
    assert.deepEqual(lab().containers(), {});
    assert.deepEqual(lab().tree(), []);
  });

  it("brings it up, and then sees nothing to do", async () => {
    await project.succeed("up", "--yes", "--skip-preview");
    const before = lab().containers();
    assert.equal(lab().page(), "first page");
    await project.succeed("preview", "--expect-no-changes");
    await project.succeed("up", "--yes", "--expect-no-changes");
    await project.succeed("refresh", "--yes", "--expect-no-changes");
    assert.deepEqual(lab().containers(), before);
  });

  it("keeps no secret in the state in plain text", async () => {
    const exported = await project.succeed("stack", "export");
    assert.doesNotMatch(exported + project.stateFiles(), new RegExp(password));
  });

  it("shows the one service that a changed file touches, and deploys it", async () => {
    const before = lab().containers();
    lab().write("worker/greeting", "good day\n");
    const shown = await project.succeed("preview", "--diff");
    assert.match(shown, /recreate\s*: \[[\s+]*\[0\]: "worker"/);
    assert.doesNotMatch(shown, /recreate\s*: \[[\s+]*\[0\]: "web"/);
    await project.succeed("up", "--yes", "--skip-preview");
    assert.equal(lab().containers()["web"], before["web"]);
    assert.equal(lab().exec("worker", "cat", "/etc/worker/greeting"), "good day");
  });

  it("starts what somebody stopped, though nothing changed here", async () => {
    lab().engine.docker("kill", lab().containers()["worker"] ?? "");
    const shown = await project.succeed("preview", "--diff");
    assert.match(shown, /start\s*: \[[\s+]*\[0\]: "worker"/);
    await project.succeed("up", "--yes", "--skip-preview");
    assert.deepEqual(Object.keys(lab().containers()).sort(), ["web", "worker"]);
  });

  it("fails an up whose project does not come up, and leaves the previous one running", async () => {
    lab().edit("compose.yaml", '-p, "8080"', '-p, "8081"');
    const result = await project.pulumi("up", "--yes", "--skip-preview");
    assert.notEqual(result.exitCode, 0);
    assert.match(result.all, /Service "web" is (unhealthy|starting)/);
    assert.equal(lab().page(), "first page");
    lab().edit("compose.yaml", '-p, "8081"', '-p, "8080"');
    await project.succeed("preview", "--expect-no-changes");
  });

  it("is gone after destroy, with its data kept", async () => {
    await project.succeed("destroy", "--yes", "--skip-preview");
    assert.deepEqual(lab().containers(), {});
    assert.deepEqual(lab().tree(), []);
    assert.deepEqual(lab().volumes(), ["tiny_data"]);
  });
});
