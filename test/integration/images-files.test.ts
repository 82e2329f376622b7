import { execa } from "execa";
import * as assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import type { ImageFile } from "../../images/core/plan.ts";
import { resolveFiles } from "../../images/effects/files.ts";
import { recipeFolder } from "../../images/effects/recipe.ts";
import { makeScratch, type Scratch } from "../support/scratch.ts";

const sha256 = (content: string): string => createHash("sha256").update(content).digest("hex");

describe("files of an image", () => {
  let scratch: Scratch;
  const at = (...parts: string[]): string => path.join(scratch.folder, ...parts);

  beforeEach(() => {
    scratch = makeScratch("files");
    fs.writeFileSync(at("tool: 1"), "content");
  });
  afterEach(() => {
    scratch.remove();
  });

  describe("resolveFiles", () => {
    let server: http.Server;
    let requests: number;
    const url = (): string => `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    const resolve = (file: Pick<ImageFile, "source" | "sha256">): ReturnType<typeof resolveFiles> =>
      resolveFiles(
        "k3s",
        [{ ...file, path: "/opt/a", mode: "0644" }],
        at("cache"),
        () => undefined,
      );

    beforeEach(async () => {
      requests = 0;
      server = http.createServer((request, response) => {
        requests++;
        response.statusCode = request.url === "/a" ? 200 : 404;
        response.end("content");
      });
      await once(server.listen(0, "127.0.0.1"), "listening");
    });
    afterEach(() => {
      server.close();
    });

    it("hashes a file of this machine", async () => {
      const [file] = await resolve({ source: at("tool: 1") });
      assert.deepEqual(file, {
        ...{ local: at("tool: 1"), sha256: sha256("content"), bytes: 7 },
        ...{ path: "/opt/a", mode: "0644" },
      });
    });

    it("downloads a URL once, and again when its copy was damaged", async () => {
      const file = { source: `${url()}/a`, sha256: sha256("content").toUpperCase() };
      const [first] = await resolve(file);
      assert.equal(fs.readFileSync(first?.local ?? "", "utf8"), "content");
      await resolve(file);
      assert.equal(requests, 1);
      fs.writeFileSync(first?.local ?? "", "damaged");
      fs.writeFileSync(`${first?.local ?? ""}.4194304.part`, "of a run that was killed");
      await resolve(file);
      assert.equal(requests, 2);
      assert.deepEqual(fs.readdirSync(at("cache", "files")), [sha256("content")]);
    });

    it("shows no secrets of a URL", async () => {
      const source = `${url().replace("//", "//user:secret@")}/none?signature=secret`;
      await assert.rejects(resolve({ source, sha256: "f".repeat(64) }), (error: Error) => {
        assert.match(error.message, /Cannot put http:\/\/127.0.0.1:\d+\/none into image/);
        assert.doesNotMatch(error.message, /secret/);
        return true;
      });
    });

    it("refuses what is not there, is no file, or is another", async () => {
      const other = "f".repeat(64);
      for (const [file, message] of [
        [{ source: at("none") }, /none into image "k3s" as \/opt\/a: ENOENT/],
        [{ source: scratch.folder }, /is no file/],
        [{ source: at("tool: 1"), sha256: other }, /has sha256 ed70.* and must have ffff/],
        [{ source: `${url()}/a`, sha256: other }, /has sha256 ed70.* and must have ffff/],
        [{ source: `${url()}/none`, sha256: other }, /the server answers 404/],
        [{ source: "http://127.0.0.1:1/a", sha256: other }, /ECONNREFUSED|bad port/],
        [{ source: `${url()}/a` }, /a URL needs sha256/],
      ] as const)
        await assert.rejects(resolve(file), { code: "image-file-unusable", message });
    });
  });

  describe("install_files", () => {
    async function install(
      file: Partial<Record<"mode" | "digest" | "path", string>>,
      root = "root",
    ): Promise<{ exitCode: number | undefined; stderr: string }> {
      const { mode = "0755", digest = sha256("content"), path: target = "/usr/bin/tool" } = file;
      const script = `set -euo pipefail; shopt -s inherit_errexit; umask 022
        root=$1 files=("$2"); . "$3/root-file-system.sh"; install_files`;
      const argument = [mode, digest, target, at("tool: 1")].join(":");
      const { exitCode, stderr } = await execa(
        "bash",
        ["-c", script, "bash", at(root), argument, recipeFolder],
        { reject: false },
      );
      return { exitCode, stderr };
    }
    beforeEach(() => {
      fs.mkdirSync(at("root", "usr", "bin"), { recursive: true });
      fs.symlinkSync("usr/bin", at("root", "bin"));
      fs.symlinkSync(scratch.folder, at("root", "out"));
      fs.symlinkSync("/etc/passwd", at("root", "usr", "bin", "link"));
    });

    it("puts a file in place, with its mode, and makes its folders", async () => {
      assert.deepEqual(await install({ path: "/opt/a/b/tool", mode: "0750" }), {
        exitCode: 0,
        stderr: "",
      });
      const file = at("root", "opt", "a", "b", "tool");
      assert.equal(fs.readFileSync(file, "utf8"), "content");
      assert.equal(fs.statSync(file).mode & 0o7777, 0o750);
      assert.equal(fs.statSync(path.dirname(file)).mode & 0o7777, 0o755);
    });

    it("puts it into an image whose folder lies behind a link", async () => {
      fs.mkdirSync(at("disk"));
      fs.symlinkSync(at("disk"), at("cache"));
      fs.mkdirSync(at("disk", "root"));
      assert.deepEqual(await install({ path: "/opt/tool" }, "cache/root"), {
        exitCode: 0,
        stderr: "",
      });
      assert.equal(fs.readFileSync(at("disk", "root", "opt", "tool"), "utf8"), "content");
    });

    it("follows links within the image, and replaces a file", async () => {
      fs.writeFileSync(at("root", "usr", "bin", "tool"), "of a package");
      assert.equal((await install({ path: "/bin/tool" })).exitCode, 0);
      assert.equal(fs.readFileSync(at("root", "usr", "bin", "tool"), "utf8"), "content");
    });

    it("refuses to leave the image, to replace a folder or link, and to take what was changed", async () => {
      for (const [file, said] of [
        [{ path: "/out/tool" }, /file \/out\/tool: a link in the image leads out of it/],
        [{ path: "/usr/bin" }, /the image has a folder or a link of that name/],
        [{ path: "/usr/bin/link" }, /the image has a folder or a link of that name/],
        [{ digest: "f".repeat(64) }, /tool: 1 was changed meanwhile/],
      ] as const) {
        const { exitCode, stderr } = await install(file);
        assert.equal(exitCode, 1);
        assert.match(stderr, said);
      }
      assert.ok(!fs.existsSync(at("tool")));
    });
  });
});
