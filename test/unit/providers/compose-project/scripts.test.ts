import assert from "node:assert/strict";
import { renderActivate } from "../../../../providers/compose-project/core/activate.ts";
import { httpCheckSchema } from "../../../../providers/compose-project/core/arguments.ts";
import { renderInstall } from "../../../../providers/compose-project/core/engine.ts";
import { layoutOf } from "../../../../providers/compose-project/core/layout.ts";
import { sha256 } from "../../../../providers/compose-project/core/manifest.ts";
import { renderRemove } from "../../../../providers/compose-project/core/remove.ts";
import {
  renderObserve,
  renderPreviewModel,
  renderStageCopy,
  renderStageEnd,
  renderStageFiles,
  renderStageStart,
} from "../../../../providers/compose-project/core/scripts.ts";
import { renderGuestProbe } from "../../../../scripts/lib/verify-plan.ts";
import { assertBash } from "../../../support/bash-text.ts";

const layout = layoutOf("/home/deploy/lab/app");
const content = Buffer.from("secret content");
const file = (path: string, mode: "0644" | "0600" = "0644") => ({
  ...{ path, content, mode },
  sha256: sha256(content),
});
const files = [file("compose.yaml"), file("it's here/a b.yml"), file(".env", "0600")];
const staged = `${layout.store}/staging/r2`;
const activation = {
  ...{ layout, project: "lab", release: "r2", staged: true },
  ...{
    override: "{}",
    imageNames: ["a:1"],
    images: "pull" as const,
    discard: ["web"],
    builds: true,
  },
  ...{ checkScript: "it's a check", smokeScript: "smoke", smokeArguments: ["--port", "80"] },
  smokeChecks: [httpCheckSchema.parse({ url: "http://127.0.0.1:80/x?a='b'", contains: "it's" })],
  ...{ upTimeoutSeconds: 30, lockTimeoutSeconds: 5, stateDigest: "", good: "r1", state: "{}" },
};
const owner = "p/s";
const scripts: Record<string, string> = {
  observe: renderObserve(layout, "lab"),
  stage: [
    renderStageStart(layout, staged, { owner, files }),
    renderStageCopy(layout, staged, ["it's here/a b.yml"]),
    renderStageFiles(staged, files),
    renderStageEnd(layout, staged, files),
  ].join("\n"),
  preview: renderPreviewModel(layout, {
    ...{ project: "lab", sent: files, kept: ["x"] },
  }),
  activate: renderActivate(activation),
  "activate without a release": renderActivate({ ...activation, staged: false, good: undefined }),
  remove: renderRemove(layout, {
    ...{ project: "lab", owner, deleteData: true },
    lockTimeoutSeconds: 5,
  }),
  "install from the distribution": renderInstall("distribution"),
  "install from Docker": renderInstall("docker"),
  verify: renderGuestProbe({ hostname: "127.0.0.1", port: 9000 }),
};

describe("the scripts of a Compose project", () => {
  for (const [name, script] of Object.entries(scripts))
    it(`are bash: ${name}`, () => {
      assertBash(script);
    });

  it("show no content of a secret file", () => {
    assert.doesNotMatch(scripts["stage"] ?? "", /secret content/);
  });

  it("write a secret file with a umask that lets nobody else read it", () => {
    const line = (scripts["stage"] ?? "").split("\n").find((each) => each.includes("./.env"));
    assert.match(line ?? "", /umask 077/);
  });
});
