import { execa } from "execa";
import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { planStack } from "../../components/planning/observability.ts";
import { openImageStore } from "../../images/effects/store.ts";
import { argumentsSchema } from "../../providers/compose-project/core/arguments.ts";
import { deploy, desiredFiles, examine } from "../../providers/compose-project/effects/project.ts";
import { removeProject } from "../../providers/compose-project/effects/remove.ts";
import { openHost } from "../../providers/host/effects/host.ts";
import { ensureArchive, imagePrograms } from "../../scripts/lib/container-images.ts";
import { cacheRoot, toolPaths } from "../../scripts/lib/tools-paths.ts";
import { judge, parseGuestProbe, renderGuestProbe } from "../../scripts/lib/verify-plan.ts";
import { ensureImages, imageVariable } from "../../stacks/observability/images/index.ts";
import { DockerHost } from "../support/docker-host.ts";
import { startMinio, type TestMinio } from "../support/minio.ts";
import { requireNeeds } from "../support/needs.ts";
import { ObservabilityLab, removeSlices } from "../support/observability-lab.ts";
import { makeScratch } from "../support/scratch.ts";
import { startSshd, type TestSshd } from "../support/sshd.ts";

const checkout = path.resolve(import.meta.dirname, "../..");

describe("the observability lab deployed over SSH", function () {
  this.timeout(600_000);
  const undo: (() => void)[] = [];
  let engine: DockerHost;
  let sshd: TestSshd;
  let minio: TestMinio;
  let folder: string;
  let target: string;
  let archives: { variable: string; image: string; key: string; sha256: string }[];

  before(async function () {
    requireNeeds(this, [...ObservabilityLab.needs, "sshd", "netcat", "minio"]);
    const scratch = makeScratch("deployment");
    undo.push(() => scratch.remove());
    folder = path.join(scratch.folder, "project");
    target = path.join(scratch.folder, "home/lab/app");
    fs.cpSync(path.join(checkout, "stacks/observability"), folder, {
      recursive: true,
      filter: (file) => !file.includes("node_modules"),
    });
    engine = await DockerHost.start();
    engine.addCompose(toolPaths(process.env).compose);
    undo.push(() => {
      engine.stop();
      removeSlices();
    });
    sshd = await startSshd(engine.environment, engine.namespace);
    undo.push(() => sshd.stop());
    minio = await startMinio();
    undo.push(() => minio.stop());
    process.env["GROUNDWORK_OBJECT_STORE_CREDENTIALS"] = minio.credentialsFile;
    const made = await ensureImages({
      cache: cacheRoot(process.env),
      programs: imagePrograms(process.env),
      report: () => undefined,
    });
    const { endpoint, region, credentials } = minio;
    const store = openImageStore({ endpoint, region, credentials, bucket: "images" });
    archives = [];
    for (const { name, tag, file } of made) {
      const key = `container-images/${path.basename(file)}`;
      const sha256 = await ensureArchive(store, key, file, () => undefined);
      archives.push({ variable: imageVariable(name), image: tag, key, sha256 });
    }
  });
  after(() => {
    for (const each of undo.reverse()) each();
  });

  const args = () => {
    const wish = { images: "build" as const, archives, httpPort: 80, deployment: "test" };
    const { composeFiles, environment } = planStack(wish);
    const { endpoint, region } = minio;
    return argumentsSchema.parse({
      ...{ stack: "observability", host: sshd.hostUri, folder, path: target, project: "lab" },
      ...{ owner: "groundwork/observability", images: "preload", composeFiles, environment },
      secrets: { GRAFANA_ADMIN_PASSWORD: "NotUsedHereAtAll" },
      archives: archives.map(({ image, key, sha256 }) => ({
        ...{ image, key, sha256, endpoint, region, bucket: "images" },
      })),
      ...{ checkScript: "check-config", smokeScript: "smoke-test" },
    });
  };
  const run = async (): Promise<void> => {
    await deploy(openHost(sshd.hostUri), args(), (line) => console.log(`      ${line}`));
  };
  const containers = async (): Promise<Record<string, string>> => {
    const format = '{{.Label "com.docker.compose.service"}} {{.ID}}';
    const lines = (await engine.runDocker(["ps", "--no-trunc", "--format", format])).split("\n");
    return Object.fromEntries(lines.map((line) => line.split(" ") as [string, string]));
  };

  it("loads its images out of the object store, comes up and passes its smoke test", async () => {
    await run();
    assert.equal(Object.keys(await containers()).length, 9);
  });

  it("touches no container when nothing changed", async () => {
    const before = await containers();
    await run();
    assert.deepEqual(await containers(), before);
  });

  it("touches the one service whose configuration changed", async () => {
    const before = await containers();
    fs.appendFileSync(path.join(folder, "prometheus/prometheus.yml"), "# changed\n");
    const { summary } = await examine(openHost(sshd.hostUri), args(), await desiredFiles(args()));
    assert.deepEqual(summary.recreate, ["prometheus"]);
    await run();
    const { prometheus, ...others } = await containers();
    assert.notEqual(prometheus, before["prometheus"]);
    assert.deepEqual({ ...others, prometheus: before["prometheus"] }, before);
  });

  it("refuses a configuration that its service would not take, before anything stops", async () => {
    const before = await containers();
    const file = path.join(folder, "loki/config.yaml");
    const right = fs.readFileSync(file, "utf8");
    fs.appendFileSync(file, "\nno_such_option: true\n");
    await assert.rejects(run(), { code: "project-refused", message: /loki/ });
    fs.writeFileSync(file, right);
    assert.deepEqual(await containers(), before);
  });

  it("is deployed and asked by scripts/deploy, with the settings that the host has", async () => {
    const before = await containers();
    fs.appendFileSync(path.join(folder, "alertmanager/alertmanager.yml"), "# changed\n");
    const config = new URL(sshd.hostUri).searchParams.get("config") ?? "";
    const options = ["--host", "target", "--ssh-config", config, "--path", target];
    const more = ["--folder", folder, "--images", "preload"];
    const program = path.join(checkout, "scripts/deploy");
    const plan = await execa(program, [...options, ...more, "--plan"]);
    assert.match(plan.stdout, /recreate: alertmanager/);
    const deployed = await execa(program, [...options, ...more]);
    assert.match(deployed.stdout, /lab runs at/);
    const { alertmanager, ...others } = await containers();
    assert.notEqual(alertmanager, before["alertmanager"]);
    assert.deepEqual({ ...others, alertmanager: before["alertmanager"] }, before);
    const asked = await execa(program, ["--smoke", "--url", `http://${engine.address}:8080/`]);
    assert.match(asked.stdout, /answers 200/);
  });

  it("passes the checklist", async () => {
    const host = openHost(sshd.hostUri);
    const probe = renderGuestProbe({ hostname: "127.0.0.1", port: minio.port });
    const guest = parseGuestProbe(await host.run(probe, { purpose: "verify the host" }));
    const wanted = { docker: true, network: false, minimumFreeBytes: 1e9 };
    const sighting = { machine: "target", address: engine.address, guest };
    const failed = judge(sighting, wanted).filter(({ status }) => status === "failed");
    assert.deepEqual(failed, []);
  });

  it("is gone after it was destroyed, with its data kept", async () => {
    await removeProject(openHost(sshd.hostUri), args());
    assert.equal(await engine.runDocker(["ps", "-aq"]), "");
    assert.match(await engine.runDocker(["volume", "ls", "-q"]), /lab_tasks/);
    assert.deepEqual(fs.readdirSync(path.dirname(target)), []);
  });
});
