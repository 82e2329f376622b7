import * as assert from "node:assert/strict";
import { renderRecord } from "../../../../providers/telemetry/core/log-record.ts";

describe("renderRecord", () => {
  const time = new Date("2026-01-02T03:04:05.678Z");
  const [trace, span] = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"];

  it("is one line with the ids of trace and span", () => {
    const line = renderRecord(time, "INFO", 'a "b"\nc', { host: "hv1" }, `00-${trace}-${span}-01`);
    assert.deepEqual(line.split("\n").length, 2);
    assert.deepEqual(JSON.parse(line), {
      ...{ timestamp: "2026-01-02T03:04:05.678Z", severity: "INFO", body: 'a "b"\nc' },
      ...{ trace_id: trace, span_id: span, attributes: { host: "hv1" } },
    });
  });

  it("has no ids without a span, or with what is none", () => {
    const bare = { timestamp: "2026-01-02T03:04:05.678Z", severity: "ERROR", body: "x" };
    for (const parent of [undefined, "", "nonsense", `00-${trace}-1-01`])
      assert.deepEqual(JSON.parse(renderRecord(time, "ERROR", "x", {}, parent)), bare);
  });
});
