import * as assert from "node:assert/strict";
import { GroundworkError } from "../../../../providers/errors.ts";
import {
  describeFailure,
  failureMessage,
  wantsSignal,
  wantsTelemetry,
} from "../../../../providers/telemetry/core/settings.ts";

describe("wantsTelemetry", () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector.example.org:4318" };

  it("is off unless the environment names an endpoint", () => {
    assert.equal(wantsTelemetry({}), false);
    assert.equal(wantsTelemetry({ OTEL_EXPORTER_OTLP_ENDPOINT: "" }), false);
    assert.equal(wantsTelemetry({ TRACEPARENT: "00-a-b-01" }), false);
    assert.equal(wantsTelemetry(endpoint), true);
  });

  it("is off when the SDK is disabled", () => {
    assert.equal(wantsTelemetry({ ...endpoint, OTEL_SDK_DISABLED: "True" }), false);
  });

  it("tells traces from metrics", () => {
    const traces = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://collector.example.org/t" };
    assert.equal(wantsSignal(traces, "traces"), true);
    assert.equal(wantsSignal(traces, "metrics"), false);
    assert.equal(wantsSignal({ ...endpoint, OTEL_METRICS_EXPORTER: "none" }, "metrics"), false);
    assert.equal(wantsSignal({ ...endpoint, OTEL_METRICS_EXPORTER: "none" }, "traces"), true);
  });
});

describe("describeFailure", () => {
  it("names our own errors by their code, and shows only their messages", () => {
    const ours = new GroundworkError({ code: "bad-image", message: "Bad.", next: "Mend it." });
    assert.deepEqual(describeFailure(ours), { "error.type": "bad-image" });
    assert.equal(failureMessage(ours), "Bad. Mend it.");
    const other = new TypeError("secret");
    assert.deepEqual(describeFailure(other), { "error.type": "TypeError" });
    assert.equal(failureMessage(other), undefined);
    assert.deepEqual(describeFailure(undefined), { "error.type": "unknown" });
  });
});
