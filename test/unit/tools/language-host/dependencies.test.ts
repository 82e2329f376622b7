import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import {
  readDependencies,
  readParameterizedPackages,
} from "../../../../tools/language-host/dependencies.ts";

describe("the language host's view of a project", () => {
  let folder: string;
  const write = (name: string, content: object): void => {
    const file = path.join(folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, JSON.stringify(content));
  };
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-dependencies-"));
  });
  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  describe("readDependencies", () => {
    it("gives the installed version, also of what lies further up, else the range", () => {
      write("node_modules/up/package.json", { version: "2.0.0" });
      write("lab/node_modules/near/package.json", { version: "1.2.3" });
      write("lab/package.json", {
        dependencies: { near: "^1", up: "*" },
        devDependencies: { absent: "~9" },
      });
      assert.deepEqual(readDependencies(path.join(folder, "lab")), [
        { name: "absent", version: "~9" },
        { name: "near", version: "1.2.3" },
        { name: "up", version: "2.0.0" },
      ]);
    });

    it("gives none where there is no package.json", () => {
      assert.deepEqual(readDependencies(folder), []);
    });
  });

  describe("readParameterizedPackages", () => {
    it("gives the providers behind generated SDKs, and no other SDK", () => {
      const pulumi = {
        resource: true,
        name: "terraform-provider",
        version: "1.1.3",
        parameterization: { name: "libvirt", version: "0.8.3", value: "e30=" },
      };
      write("node_modules/@pulumi/libvirt/package.json", { version: "0.8.3", pulumi });
      write("node_modules/@pulumi/aws/package.json", {
        version: "7.0.0",
        pulumi: { resource: true, name: "aws" },
      });
      write("package.json", {
        dependencies: { "@pulumi/libvirt": "*", "@pulumi/aws": "*", mocha: "*" },
      });
      const { name, version, parameterization } = pulumi;
      assert.deepEqual(readParameterizedPackages(folder), [{ name, version, parameterization }]);
    });
  });
});
