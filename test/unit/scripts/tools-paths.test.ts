import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import {
  cacheRoot,
  minioBinary,
  pulumiHome,
  pulumiRoot,
  toolPaths,
} from "../../../scripts/lib/tools.ts";

describe("cacheRoot and pulumiHome", () => {
  it("follow GROUNDWORK_CACHE, then XDG_CACHE_HOME, then HOME", () => {
    const env = { HOME: "/home/me" };
    assert.equal(cacheRoot(env), "/home/me/.cache/groundwork");
    assert.equal(cacheRoot({ ...env, XDG_CACHE_HOME: "/xdg" }), "/xdg/groundwork");
    assert.equal(cacheRoot({ ...env, XDG_CACHE_HOME: "/xdg", GROUNDWORK_CACHE: "/own" }), "/own");
    assert.equal(cacheRoot({ ...env, XDG_CACHE_HOME: "", GROUNDWORK_CACHE: "" }), cacheRoot(env));
  });

  it("leave a PULUMI_HOME of the user's own alone", () => {
    assert.equal(pulumiHome({ HOME: "/home/me" }), "/home/me/.cache/groundwork/pulumi");
    assert.equal(pulumiHome({ HOME: "/home/me", PULUMI_HOME: "/p" }), "/p");
  });
});

describe("toolPaths", () => {
  it("are the paths at which Pulumi looks", () => {
    const env = { PULUMI_HOME: "/p", GROUNDWORK_CACHE: "/c" };
    const paths = toolPaths(env);
    assert.equal(paths.pulumi, path.join(pulumiRoot(env), "bin/pulumi"));
    assert.equal(paths["language-host"], "/p/versions/3.259.0/bin/pulumi-language-nodejs");
    assert.equal(
      paths["terraform-bridge"],
      "/p/plugins/resource-terraform-provider-v1.1.3/pulumi-resource-terraform-provider",
    );
    assert.equal(
      paths["command-plugin"],
      "/p/plugins/resource-command-v1.2.1/pulumi-resource-command",
    );
    assert.equal(
      paths["libvirt-provider"],
      "/p/dynamic_tf_plugins/registry.opentofu.org/dmacvicar/libvirt/0.8.3/linux_amd64/terraform-provider-libvirt_v0.8.3",
    );
  });
});

describe("minioBinary", () => {
  let folder: string;
  const put = (file: string, mode: number): string => {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, "", { mode });
    return file;
  };
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-minio-"));
  });
  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  it("prefers a minio on PATH, then the one set-up made, and knows when there is none", () => {
    const env = { GROUNDWORK_CACHE: folder, PATH: path.join(folder, "path") };
    assert.equal(minioBinary(env), undefined);
    const built = put(toolPaths(env).minio, 0o755);
    assert.equal(minioBinary(env), built);
    put(path.join(folder, "path/minio"), 0o644);
    assert.equal(minioBinary(env), built, "a file that cannot be run is none");
    fs.chmodSync(path.join(folder, "path/minio"), 0o755);
    assert.equal(minioBinary(env), path.join(folder, "path/minio"));
  });
});
