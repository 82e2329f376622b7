import * as fc from "fast-check";
import * as assert from "node:assert/strict";
import { parseCloudInitStatus } from "../../../../providers/machine-ready/core/cloud-init-status.ts";

const stages = {
  init: { errors: [], finished: 5.1, recoverable_errors: {}, start: 4.9 },
  "modules-final": { errors: [], finished: null, recoverable_errors: {}, start: 9.2 },
};

describe("parseCloudInitStatus", () => {
  for (const { name, json, expected } of [
    {
      name: "22.4, done",
      json: {
        boot_status_code: "enabled-by-generator",
        datasource: "nocloud",
        detail: "DataSourceNoCloud [seed=/dev/vdb][dsmode=net]",
        errors: [],
        last_update: "Sat, 21 Nov 2026 13:00:00 +0000",
        status: "done",
      },
      expected: { state: "done", errors: [], warnings: [] },
    },
    {
      name: "22.4, error",
      json: {
        detail: "DataSourceNoCloud",
        errors: ["('scripts_user', ProcessExecutionError)"],
        status: "error",
      },
      expected: {
        state: "error",
        errors: ["('scripts_user', ProcessExecutionError)"],
        warnings: [],
      },
    },
    {
      name: "22.4, error told in the detail only",
      json: { detail: "Failed to start cloud-final", errors: [], status: "error" },
      expected: { state: "error", errors: ["Failed to start cloud-final"], warnings: [] },
    },
    {
      name: "23.4, done with recoverable errors",
      json: {
        ...stages,
        errors: [],
        extended_status: "degraded done",
        recoverable_errors: { WARNING: ["no time zone"], DEPRECATED: ["old key", "old form"] },
        schemas: {},
        stage: null,
        status: "done",
      },
      expected: {
        state: "done",
        errors: [],
        warnings: ["WARNING: no time zone", "DEPRECATED: old key", "DEPRECATED: old form"],
      },
    },
    {
      name: "24, running",
      json: {
        ...stages,
        errors: [],
        extended_status: "running",
        recoverable_errors: {},
        stage: "modules-final",
        status: "running",
      },
      expected: { state: "running", errors: [], warnings: [], stage: "modules-final" },
    },
    {
      name: "24, failed and still running",
      json: {
        errors: ["bad module"],
        extended_status: "error - running",
        recoverable_errors: {},
        stage: "modules-config",
        status: "error",
      },
      expected: { state: "error", errors: ["bad module"], warnings: [], stage: "modules-config" },
    },
    {
      name: "24, degraded written as the status",
      json: { errors: [], status: "degraded done" },
      expected: { state: "done", errors: [], warnings: [] },
    },
    {
      name: "24, not started",
      json: {
        errors: [],
        extended_status: "not started",
        recoverable_errors: {},
        stage: null,
        status: "not started",
      },
      expected: { state: "waiting", errors: [], warnings: [] },
    },
    {
      name: "22.4, not run",
      json: { errors: [], status: "not run" },
      expected: { state: "waiting", errors: [], warnings: [] },
    },
    {
      name: "disabled",
      json: {
        detail: "Cloud-init disabled by /etc/cloud/cloud-init.disabled",
        errors: [],
        status: "disabled",
      },
      expected: { state: "disabled", errors: [], warnings: [] },
    },
  ])
    it(`reads ${name}`, () => {
      assert.deepEqual(parseCloudInitStatus(JSON.stringify(json, undefined, 1)), expected);
    });

  it("finds the status between dots and warnings", () => {
    const output = `....\n{"status": "done", "errors": []}\nConnection closed`;
    assert.equal(parseCloudInitStatus(output)?.state, "done");
  });

  it("returns nothing for what is no status, whatever it is", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const json = text.includes("{") ? `{${text}` : text;
        assert.equal(parseCloudInitStatus(json.replaceAll("status", "")), undefined);
      }),
    );
    assert.equal(parseCloudInitStatus(`{"status": 5}`), undefined);
    assert.equal(parseCloudInitStatus(`{"status": "do`), undefined);
  });

  it("bears fields of another shape than it knows", () => {
    assert.deepEqual(
      parseCloudInitStatus(
        `{"status": "done", "errors": "?", "recoverable_errors": [], "stage": 1}`,
      ),
      { state: "done", errors: [], warnings: [] },
    );
  });
});
