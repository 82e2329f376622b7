import assert from "node:assert/strict";
import { sha256 } from "../../../../providers/compose-project/core/manifest.ts";
import { parseModel, renderOverride } from "../../../../providers/compose-project/core/model.ts";

const file = (path: string, content = path) => ({
  path,
  sha256: sha256(content),
  mode: "0644" as const,
});
const manifest = [file("compose.yaml"), file("conf/a.yml"), file("conf/b.yml"), file("token")];
const bind = (source: string, read_only = true) => ({
  type: "bind",
  source,
  target: "/x",
  read_only,
});
const model = (services: object, more: object = {}): string =>
  JSON.stringify({ name: "lab", services, ...more });
const parse = (text: string, files = manifest) => parseModel(text, "/stage", files).services;

describe("parseModel", () => {
  it("gives a service another digest when a file in a folder that it mounts changes, and no other", () => {
    const text = model({
      one: { image: "a:1", volumes: [bind("/stage/conf")] },
      two: { image: "a:1", volumes: [bind("/stage/compose.yaml"), bind("/proc")] },
    });
    const [one, two] = parse(text);
    const changed = [...manifest.slice(0, 2), file("conf/b.yml", "other"), file("token")];
    const [oneNow, twoNow] = parse(text, changed);
    assert.notEqual(oneNow?.files, one?.files);
    assert.equal(twoNow?.files, two?.files);
    assert.equal(oneNow?.definition, one?.definition);
  });

  it("looks into the files of configs and secrets", () => {
    const text = model(
      { one: { image: "a:1", secrets: [{ source: "token" }] } },
      { secrets: { token: { name: "lab_token", file: "/stage/token" } } },
    );
    const [before] = parse(text);
    const [after] = parse(text, [...manifest.slice(0, 3), file("token", "new")]);
    assert.notEqual(before?.files, after?.files);
  });

  it("sees the same service wherever the tree lies", () => {
    const at = (root: string) =>
      parseModel(model({ one: { image: "a", volumes: [bind(`${root}/conf`)] } }), root, manifest);
    assert.deepEqual(at("/stage"), at("/home/deploy/lab/app"));
  });

  it("refuses a mount of the project for writing, and one of what is not in it", () => {
    const code = (service: object) => {
      try {
        return parse(model({ one: service })).length;
      } catch (error) {
        return (error as { code?: string }).code;
      }
    };
    assert.equal(code({ volumes: [bind("/stage/conf", false)] }), "writable-project-mount");
    assert.equal(code({ volumes: [bind("/stage/absent")] }), "missing-project-mount");
    assert.equal(code({ volumes: [bind("/stagedata", false)] }), 1);
    assert.equal(code({ volumes: [{ type: "volume", source: "data", target: "/d" }] }), 1);
  });

  it("refuses what is not a model, and one without services", () => {
    for (const [text, code] of [
      ["", "compose-model"],
      ["[]", "compose-model"],
      [model({ one: { volumes: "x" } }), "compose-model"],
      [model({}), "no-services"],
    ] as const)
      assert.throws(() => parse(text), { code });
  });
});

describe("renderOverride", () => {
  it("labels each service with the digest of its files", () => {
    const services = parse(model({ one: { image: "a" }, two: { build: { context: "." } } }));
    const override = JSON.parse(renderOverride({ services })) as {
      services: Record<string, { labels: Record<string, string> }>;
    };
    assert.deepEqual(Object.keys(override.services), ["one", "two"]);
    assert.equal(override.services["one"]?.labels["dev.groundwork.files"], services[0]?.files);
    assert.deepEqual(
      services.map(({ builds }) => builds),
      [false, true],
    );
  });
});
