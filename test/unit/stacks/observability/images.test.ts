import * as assert from "node:assert/strict";
import {
  imageTag,
  imageVariable,
  passwd,
  renderEnvironment,
  renderImageConfig,
  renderManifest,
} from "../../../../stacks/observability/images/core/archive.ts";
import {
  type ImageName,
  imageNames,
  imageRecipes,
} from "../../../../stacks/observability/images/core/recipes.ts";

const layer = "ab".repeat(32);

describe("renderImageConfig", () => {
  it("runs as a user that is not root and has a name, with the program as entry point", () => {
    const { config } = JSON.parse(renderImageConfig(imageRecipes.backend, layer)) as {
      config: { User: string; Entrypoint: string[]; Env: string[]; WorkingDir: string };
    };
    assert.equal(config.User, "10001:10001");
    assert.match(passwd, /^lab:x:10001:10001:/m);
    assert.deepEqual(config.Entrypoint, ["/usr/bin/python3", "-m", "taskmanager"]);
    assert.ok(config.Env.includes("PYTHONPATH=/app:/app/packages"));
    assert.ok(config.Env.some((each) => each.startsWith("PATH=")));
    assert.equal(config.WorkingDir, "/app");
  });

  it("names its layer by digest, and is the same whenever it is made", () => {
    const text = renderImageConfig(imageRecipes.loki, layer);
    const { rootfs, created } = JSON.parse(text) as {
      rootfs: { diff_ids: string[] };
      created: string;
    };
    assert.deepEqual(rootfs.diff_ids, [`sha256:${layer}`]);
    assert.equal(created, "1970-01-01T00:00:00Z");
    assert.equal(text, renderImageConfig(imageRecipes.loki, layer));
  });
});

describe("renderManifest", () => {
  it("has the one image under its tag", () => {
    assert.deepEqual(JSON.parse(renderManifest(imageTag("loki", "0123"))), [
      { Config: "config.json", RepoTags: ["groundwork/loki:0123"], Layers: ["layer.tar"] },
    ]);
  });
});

describe("renderEnvironment", () => {
  it("selects the files of made images and names each", () => {
    const tags = Object.fromEntries(imageNames.map((name) => [name, imageTag(name, "k")]));
    const lines = renderEnvironment(tags as Record<ImageName, string>).split("\n");
    assert.equal(lines[0], "COMPOSE_FILE=compose.yaml:compose.build.yaml");
    assert.ok(lines.includes("IMAGE_OTEL_COLLECTOR=groundwork/otel-collector:k"));
    assert.equal(lines.length, imageNames.length + 2);
  });
});

describe("imageVariable", () => {
  it("is what a shell takes for a name", () => {
    for (const name of imageNames) assert.match(imageVariable(name), /^IMAGE_[A-Z_]+$/);
  });
});
