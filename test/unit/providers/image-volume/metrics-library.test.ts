import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { scriptLibrary } from "../../../../providers/image-volume/core/script-library.ts";
import { makeScratch, type Scratch } from "../../../support/scratch.ts";

describe("the metrics of a host's scripts", () => {
  let scratch: Scratch;
  let file = "";
  before(() => {
    scratch = makeScratch("textfiles");
    file = path.join(scratch.folder, "groundwork.prom");
  });
  after(() => {
    scratch.remove();
  });

  const run = (...lines: string[]): number | null =>
    spawnSync("bash", [], {
      input: [
        "set -euo pipefail",
        `gw_textfiles='${scratch.folder}'`,
        scriptLibrary,
        ...lines,
      ].join("\n"),
      encoding: "utf8",
    }).status;

  it("count steps, bytes and seconds over all runs, and failures by their code", () => {
    const took = `gw_steps+='fetchImage:1500:200 markPopulated:5:0 '`;
    assert.equal(
      run(took, `gw_count 'groundwork_cache_lookups_total{result="miss"}' 1`, "gw_done=1"),
      0,
    );
    assert.equal(run(took, "gw_done=1"), 0);
    assert.equal(run("gw_fail image-missing 404"), 0);
    assert.equal(run("false"), 1);
    assert.equal(
      fs.readFileSync(file, "utf8"),
      [
        "# TYPE groundwork_cache_lookups_total counter",
        'groundwork_cache_lookups_total{result="miss"} 1',
        "# TYPE groundwork_failures_total counter",
        'groundwork_failures_total{code="command-failed"} 1',
        'groundwork_failures_total{code="image-missing"} 1',
        "# TYPE groundwork_step_bytes_total counter",
        'groundwork_step_bytes_total{step="fetchImage"} 400',
        'groundwork_step_bytes_total{step="markPopulated"} 0',
        "# TYPE groundwork_step_seconds_total counter",
        'groundwork_step_seconds_total{step="fetchImage"} 3',
        'groundwork_step_seconds_total{step="markPopulated"} 0.01',
        "# TYPE groundwork_steps_total counter",
        'groundwork_steps_total{step="fetchImage"} 2',
        'groundwork_steps_total{step="markPopulated"} 2',
        "",
      ].join("\n"),
    );
    assert.equal(fs.statSync(file).mode & 0o777, 0o644);
    assert.deepEqual(fs.readdirSync(scratch.folder), ["groundwork.prom"]);
  });

  it("are written nowhere where there is no collector, and fail nothing", () => {
    fs.rmSync(file);
    fs.rmSync(scratch.folder, { recursive: true });
    assert.equal(run("gw_steps+='a:1:1 '", "gw_done=1"), 0);
    assert.equal(fs.existsSync(scratch.folder), false);
  });
});
