import assert from "node:assert/strict";
import type { LabOutputs } from "../../../scripts/lib/outputs.ts";
import { renderSummary } from "../../../scripts/lib/summary.ts";

const lab: LabOutputs = {
  machines: {
    vm1: {
      name: "vm1",
      addresses: ["192.168.150.10"],
      mac: "52:54:00:00:00:01",
      sshCommand: "ssh -F .groundwork/ssh/local/config vm1",
      volumePath: "/dev/groundwork/vm1-root",
      serialLogPath: "/var/log/vm1.log",
    },
  },
  hypervisors: {},
};
const timings = [
  { title: "Images", seconds: 1.25 },
  { title: "Stack local", seconds: 70 },
];

describe("renderSummary", () => {
  it("has name, address, SSH command, serial log, times and next steps", () => {
    assert.deepEqual(renderSummary("local", lab, timings), [
      "",
      "MACHINE  ADDRESS         SSH",
      "vm1      192.168.150.10  ssh -F .groundwork/ssh/local/config vm1",
      "",
      "serial log of vm1  /var/log/vm1.log",
      "",
      "Images       1.3 s",
      "Stack local  1 min 10 s",
      "Total        1 min 11 s",
      "",
      "Next:",
      "  make ssh M=vm1  a shell on vm1",
      "  make preview    what a change of the stack file would do",
      "  make down       remove everything",
    ]);
  });

  it("names the stack in the next steps when it is not the usual one", () => {
    const text = renderSummary("sandbox", lab, timings).join("\n");
    assert.match(text, /make ssh STACK=sandbox M=vm1/);
    assert.match(text, /make down STACK=sandbox/);
  });

  it("says so when there are no machines", () => {
    const text = renderSummary("local", { machines: {}, hypervisors: {} }, timings).join("\n");
    assert.match(text, /No machines/);
    assert.doesNotMatch(text, /make ssh/);
  });
});
