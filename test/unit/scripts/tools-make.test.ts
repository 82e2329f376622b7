import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { GroundworkError } from "../../../providers/errors.ts";
import { downloadMinio, downloadTool, probeSource } from "../../../scripts/lib/tools-download.ts";
import {
  applyMend,
  compileScripts,
  installTool,
  prefetchModules,
  renderLauncher,
} from "../../../scripts/lib/tools-make.ts";
import { toolPaths } from "../../../scripts/lib/tools-paths.ts";
import type { RunCommand } from "../../../scripts/lib/tools-run.ts";
import {
  cacheEntry,
  readToolStates,
  toolKey,
  writeStamp,
} from "../../../scripts/lib/tools-state.ts";

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-tools-"));
});
afterEach(() => {
  fs.rmSync(folder, { recursive: true });
});

describe("compileScripts", () => {
  it("makes modules that plain node runs, from a folder with a blank and a quote too", async () => {
    const to = path.join(folder, "it's here");
    fs.mkdirSync(to);
    fs.writeFileSync(
      path.join(folder, "main.ts"),
      'import { said } from "./said.ts";\nconsole.log(said satisfies string, process.argv[2]);\n',
    );
    fs.writeFileSync(path.join(folder, "said.ts"), 'export const said: string = "built";\n');
    await compileScripts(folder, to);
    const launcher = path.join(folder, "launcher");
    fs.writeFileSync(launcher, renderLauncher(path.join(to, "main.js")), { mode: 0o755 });
    assert.equal(execFileSync(launcher, ["a b"], { encoding: "utf8" }), "built a b\n");
  });
});

describe("installTool and readToolStates", () => {
  const fill = (env: { GROUNDWORK_CACHE: string; PATH: string }): void => {
    const entry = cacheEntry(env, "pulumi", toolKey("pulumi"));
    fs.mkdirSync(entry, { recursive: true });
    fs.writeFileSync(path.join(entry, "pulumi"), "cli", { mode: 0o755 });
  };

  it("know a tool from the cache as current, and as outdated once the pins have changed", () => {
    const env = { GROUNDWORK_CACHE: folder, PATH: "" };
    assert.deepEqual(readToolStates(env).pulumi, { installed: "absent", cached: false });
    fill(env);
    assert.deepEqual(readToolStates(env).pulumi, { installed: "absent", cached: true });
    installTool(env, "pulumi");
    assert.deepEqual(readToolStates(env).pulumi, { installed: "current", cached: true });
    const stamp = path.join(folder, "pulumi/groundwork/pulumi.json");
    fs.writeFileSync(stamp, '{"key":"older","source":"registries"}');
    assert.equal(readToolStates(env).pulumi.installed, "outdated");
  });

  it("have what was downloaded built anew only where that is asked for", () => {
    const env = { GROUNDWORK_CACHE: folder, PATH: "" };
    fill(env);
    installTool(env, "pulumi");
    writeStamp(env, "pulumi", "vendor");
    const installed = (tools?: string): string =>
      readToolStates({ ...env, ...(tools !== undefined && { GROUNDWORK_TOOLS: tools }) }).pulumi
        .installed;
    assert.deepEqual([installed(), installed("download")], ["current", "current"]);
    assert.equal(installed("build"), "outdated");
    writeStamp(env, "pulumi", "registries");
    assert.equal(installed("build"), "current");
  });

  it("leave alone what someone else put there", () => {
    const env = { GROUNDWORK_CACHE: folder, PATH: "" };
    const file = toolPaths(env).pulumi;
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, "vendor's", { mode: 0o755 });
    assert.equal(readToolStates(env).pulumi.installed, "other");
  });

  it("leave no half-written file behind", () => {
    const env = { GROUNDWORK_CACHE: folder, PATH: "" };
    fill(env);
    installTool(env, "pulumi");
    assert.deepEqual(fs.readdirSync(path.dirname(toolPaths(env).pulumi)), ["pulumi"]);
  });
});

describe("toolKey", () => {
  const copy = (): string => {
    const sources = path.join(folder, "tools");
    fs.cpSync(path.resolve(import.meta.dirname, "../../../tools"), sources, { recursive: true });
    return sources;
  };

  it("changes with the pinned modules and the sources, and with nothing else", () => {
    const sources = copy();
    const keys = (): string[] => [toolKey("minio", sources), toolKey("language-host", sources)];
    const [minio, host] = keys();
    fs.appendFileSync(path.join(sources, "pulumi/go.sum"), "other\n");
    assert.deepEqual(keys(), [minio, host]);
    fs.appendFileSync(path.join(sources, "minio/go.sum"), "other\n");
    fs.appendFileSync(path.join(sources, "language-host/host.ts"), "// other\n");
    assert.notEqual(keys()[0], minio);
    assert.notEqual(keys()[1], host);
  });
});

describe("applyMend", () => {
  const mend = {
    module: "m",
    file: "f.go",
    edits: [
      ["one", "1"],
      ["two", "2"],
    ] as const,
  };

  it("makes every edit where the text has it once", () => {
    assert.equal(applyMend(mend, "one two three"), "1 2 three");
  });

  it("refuses another file than the one that it was made for", () => {
    for (const text of ["one", "one two two"])
      assert.throws(() => applyMend(mend, text), {
        code: "tool-mend",
        message: /"two" [02] times/,
      });
  });
});

describe("prefetchModules", () => {
  it("asks for the modules of one tool after the other, whatever becomes of each", async () => {
    const asked: (string | undefined)[] = [];
    const run: RunCommand = (_file, args) => {
      asked.push(args.at(-1));
      return Promise.reject(new Error("the registry is away"));
    };
    const { signal } = new AbortController();
    await prefetchModules(["minio", "command-plugin", "loki"], run, signal);
    assert.deepEqual(asked, ["github.com/minio/minio", "github.com/grafana/loki/v3/cmd/loki"]);
  });

  it("goes no further once all is over", async () => {
    const over = new AbortController();
    const asked: (AbortSignal | undefined)[] = [];
    await prefetchModules(
      ["minio", "loki"],
      (_file, _args, { signal } = {}) => {
        asked.push(signal);
        over.abort();
        return Promise.resolve("");
      },
      over.signal,
    );
    assert.deepEqual(asked, [over.signal]);
  });
});

describe("probeSource", () => {
  it("takes a refusal for a machine that reaches registries only", async () => {
    assert.equal(await probeSource(() => Promise.resolve("")), "vendor");
    assert.equal(await probeSource(() => Promise.reject(new Error("refused"))), "registries");
  });
});

describe("downloadTool", () => {
  it("takes the CLI out of what was probed, by curl, with all that comes along", async () => {
    const env = { GROUNDWORK_CACHE: folder, PATH: "" };
    const source = path.join(folder, "source/pulumi");
    fs.mkdirSync(source, { recursive: true });
    for (const name of ["pulumi", "pulumi-language-nodejs"])
      fs.writeFileSync(path.join(source, name), name, { mode: 0o755 });
    const asked: string[] = [];
    await downloadTool(env, "pulumi", (file, args) => {
      asked.push(file);
      const to = args[args.indexOf("-o") + 1] ?? "";
      return Promise.resolve(
        file === "curl"
          ? execFileSync("tar", ["-czf", to, "-C", path.dirname(source), "pulumi"]).toString()
          : execFileSync(file, args).toString(),
      );
    });
    assert.deepEqual(asked, ["curl", "tar"]);
    assert.equal(readToolStates(env).pulumi.installed, "current");
    const bin = path.dirname(toolPaths(env).pulumi);
    assert.deepEqual(fs.readdirSync(path.dirname(bin)), ["bin"]);
    assert.deepEqual(fs.readdirSync(bin), ["pulumi", "pulumi-language-nodejs"]);
  });

  it("says how to do without when a download fails, and leaves nothing", async () => {
    const env = { GROUNDWORK_CACHE: folder, PATH: "" };
    const refused = { code: "tool-command", message: "`curl` exited with 22.", next: "Look." };
    await assert.rejects(
      downloadTool(env, "pulumi", () => Promise.reject(new GroundworkError(refused))),
      { code: "download-failed", message: /curl.*22.*GROUNDWORK_TOOLS=build/ },
    );
    assert.deepEqual(fs.readdirSync(path.dirname(path.dirname(toolPaths(env).pulumi))), []);
  });
});

describe("downloadMinio", () => {
  const served = "the server";
  const offering =
    (checksum: string): RunCommand =>
    (_file, args) => {
      const to = args.indexOf("-o");
      if (to >= 0) fs.writeFileSync(args[to + 1] ?? "", served);
      return Promise.resolve(to >= 0 ? "" : `${checksum}  minio\n`);
    };
  const right = createHash("sha256").update(served).digest("hex");

  it("takes a file whose checksum is the published one", async () => {
    const file = path.join(folder, "bin/minio");
    await downloadMinio(file, "https://example.com", offering(right));
    assert.equal(fs.readFileSync(file, "utf8"), served);
    assert.equal(fs.statSync(file).mode & 0o777, 0o755);
  });

  it("refuses any other, or one without a checksum, and leaves nothing", async () => {
    const file = path.join(folder, "minio");
    for (const checksum of ["0".repeat(64), "no such file"])
      await assert.rejects(downloadMinio(file, "https://example.com", offering(checksum)), {
        code: "wrong-checksum",
      });
    assert.deepEqual(fs.readdirSync(folder), []);
  });
});
