import * as assert from "node:assert/strict";
import * as fc from "fast-check";
import { GroundworkError } from "../../../../providers/errors.ts";
import {
  parseCloneReport,
  parseProbe,
  parseProgress,
  parseScriptReport,
  parseSidecar,
} from "../../../../providers/image-volume/core/parsers.ts";
import { parseTags } from "../../../../providers/image-volume/core/layout.ts";

const digest = "0123456789abcdef".repeat(4);
const other = "f".repeat(64);

describe("parseSidecar", () => {
  const forms: Record<string, string> = {
    "a digest alone": digest,
    "a digest and a line end": `${digest}\n`,
    "what sha256sum prints": `${digest}  debian.qcow2\n`,
    "what sha256sum prints of binary files": `${digest} *debian.qcow2\n`,
    "upper case": digest.toUpperCase(),
    CRLF: `${digest}  debian.qcow2\r\n`,
    "spaces around": `  ${digest}  \n\n`,
    "a path before the name": `${digest}  ./out/debian.qcow2\n`,
    "the name among others": `${other}  other.img\n${digest}  debian.qcow2\n`,
    "another name alone": `${digest}  before-it-was-renamed.qcow2\n`,
  };
  for (const [form, text] of Object.entries(forms))
    it(`reads ${form}`, () => {
      assert.equal(parseSidecar(text, "images/debian.qcow2"), digest);
    });

  const wrong: Record<string, string> = {
    nothing: "",
    "only spaces": " \n\n",
    "63 digits": digest.slice(1),
    "64 characters that are no digits": "g".repeat(64),
    "a path": "../../../etc/passwd",
    "an error page": "<html><body>404</body></html>",
    "two digests for no known name": `${digest}\n${other}\n`,
    "two digests for the same name": `${digest}  debian.qcow2\n${other}  debian.qcow2\n`,
    "more than is read": `${digest}  debian.qcow2\n`.padEnd(5000, "\n"),
  };
  for (const [form, text] of Object.entries(wrong))
    it(`refuses ${form}`, () => {
      assert.throws(() => parseSidecar(text, "images/debian.qcow2"), { code: "bad-sidecar" });
    });

  it("refuses a line that a pattern would search for minutes, at once", () => {
    const line = `x${" ".repeat(3000)}y\u2028z`;
    assert.throws(() => parseSidecar(line, "images/debian.qcow2"), { code: "bad-sidecar" });
  });
});

const rest = `"pool_lv":"","data_percent":"","metadata_percent":"","zero":"","lv_health_status":""`;

const probe = (more: Record<string, string> = {}): string =>
  Object.entries({
    user: "0",
    missing: "",
    activation: "loop",
    groups: `{"report":[{"vg":[{"vg_name":"lab","vg_free":"1048576","vg_extent_size":"4194304"}]}]}`,
    volumes: `{"report":[{"lv":[{"vg_name":"lab","lv_name":"a","lv_uuid":"u-1","lv_size":"4194304","segtype":"linear","lv_tags":"x=y,groundwork.owner=p/s,groundwork.state=populated",${rest}},{"vg_name":"lab","lv_name":"b","lv_uuid":"u-2","lv_size":"4194304","segtype":"linear","lv_tags":"",${rest}}]}]}`,
    devices: "7:3\tlab/a",
    open: "7:3\t42\tqemu-system-x86\tvm1\n7:3\t43\tdd\t",
    cache: `${digest}.100.image\t100\n${other}.100.image\t99\nsomething\t5\n${other}.part\t7`,
    disks: "",
    rates: "fetchImage 10 20.00\nnonsense",
    free: "123456",
    ...more,
  })
    .map(([name, text]) => `@@${name}\n${text}\n`)
    .join("");

describe("parseProbe", () => {
  it("reads volumes, their tags and who has them open", () => {
    const host = parseProbe(probe(), "hv1");
    assert.deepEqual(host.volumes.get("lab/a"), {
      uuid: "u-1",
      sizeBytes: 4194304,
      segmentType: "linear",
      tags: ["x=y", "groundwork.owner=p/s", "groundwork.state=populated"],
      marks: { owner: "p/s", state: "populated" },
      users: [
        { pid: 42, command: "qemu-system-x86", domain: "vm1" },
        { pid: 43, command: "dd" },
      ],
    });
    assert.deepEqual(host.volumes.get("lab/b")?.users, []);
    assert.deepEqual(host.groups.get("lab"), { extentBytes: 4194304, freeBytes: 1048576 });
    assert.equal(host.cacheFreeBytes, 123456);
    assert.deepEqual([...host.rates], [["fetchImage", { milliseconds: 10, amount: 20 }]]);
    assert.equal(host.activation, "loop");
  });

  it("tells thin pools and what is in them, where the kernel can use them", () => {
    const row = (name: string, segtype: string, columns: string): string =>
      `{"vg_name":"lab","lv_name":"${name}","lv_uuid":"u","lv_size":"4194304","segtype":"${segtype}","lv_tags":"",${columns}}`;
    const volumes = `{"report":[{"lv":[${row("p", "thin-pool", `"pool_lv":"","data_percent":"12.50","metadata_percent":"3.00","zero":"zero","lv_health_status":""`)},${row("v", "thin", `"pool_lv":"p","data_percent":"1.00","metadata_percent":"","zero":"","lv_health_status":""`)}]}]}`;
    const host = parseProbe(probe({ activation: "device-mapper", volumes }), "hv1");
    assert.deepEqual(host.pools, [
      {
        ...{ volumeGroup: "lab", name: "p", sizeBytes: 4194304, dataPercent: 12.5 },
        ...{ metadataPercent: 3, zeroes: true, health: "" },
      },
    ]);
    assert.equal(host.volumes.get("lab/v")?.pool, "p");
    assert.deepEqual(parseProbe(probe({ volumes }), "hv1").pools, []);
  });

  it("counts only whole entries of the cache", () => {
    assert.deepEqual([...parseProbe(probe(), "hv1").cache], [[digest, 100]]);
  });

  it("knows the disk's length of a cached qcow2, and of nothing else", () => {
    const name = `${digest}.100.image`;
    const header = `514649fb00000003${"00".repeat(16)}0000000080000000`;
    const read = (line: string): unknown[] => [
      ...parseProbe(probe({ disks: line }), "hv1").disks.entries(),
    ];
    assert.deepEqual(read(`${name}\t${header}`), [[digest, 2 ** 31]]);
    for (const line of [
      ...[`${name}\t`, `${name}\t${header.slice(2)}00`, `${name}\t${header.slice(0, -2)}`, name],
      ...[`${name}\t514649fb${"f".repeat(56)}`, `../x.image\t${header}`, ""],
    ])
      assert.deepEqual(read(line), [], line);
  });

  it("asks for root", () => {
    assert.throws(() => parseProbe("@@user\n1000\n", "hv1"), { code: "host-needs-root" });
  });

  it("names the tools that are missing", () => {
    assert.throws(
      () => parseProbe("@@user\n0\n@@missing\ncurl\nlvm\n", "hv1"),
      /it lacks curl, lvm\. Install/,
    );
  });

  it("does not take silence for an empty host", () => {
    for (const printed of ["", "welcome to hv1\n", "@@user\n0\n@@missing\n"])
      assert.throws(() => parseProbe(printed, "hv1"), { code: "bad-probe-output" });
    for (const name of ["groups", "volumes", "free"])
      assert.throws(() => parseProbe(probe({ [name]: "" }), "hv1"), { code: "bad-probe-output" });
  });

  it("gives an observation or an error of ours for any output", () => {
    const names = [
      "user",
      "missing",
      "activation",
      "groups",
      "volumes",
      "devices",
      "open",
      "cache",
    ];
    fc.assert(
      fc.property(fc.constantFrom(...names, "free"), fc.string(), (name, text) => {
        try {
          parseProbe(probe({ [name]: text }), "hv1");
        } catch (error) {
          assert.ok(error instanceof GroundworkError, String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("parseScriptReport", () => {
  it("reads values and the failure among other lines", () => {
    const report = parseScriptReport(
      "noise\n@value header QUJD\n@progress fetch 5\n@fail digest-mismatch abc def\n",
    );
    assert.deepEqual(report.failure, { code: "digest-mismatch", detail: "abc def" });
    assert.deepEqual([...report.values], [["header", "QUJD"]]);
  });

  it("reads a failure without a detail", () => {
    assert.deepEqual(parseScriptReport("@fail host-changed \n").failure?.detail, "");
  });

  it("finds none in a script that succeeded", () => {
    assert.equal(parseScriptReport("").failure, undefined);
  });
});

describe("parseProgress", () => {
  it("reads progress lines and no others", () => {
    assert.deepEqual(parseProgress("@progress convert 12.5"), { kind: "convert", value: 12.5 });
    for (const line of ["", "@progress convert", "@progress convert x", "progress fetch 5"])
      assert.equal(parseProgress(line), undefined);
  });
});

describe("parseCloneReport", () => {
  const step = { pool: "pool", addTags: ["groundwork.owner=p/s", "groundwork.state=populated"] };
  const [group, volume] = ["g".repeat(32), "abcdefGHIJklmnOPQRstuvWXYZ012345"];

  it("writes the UUID as LVM does", () => {
    const seen = parseCloneReport(`LVM-${group}${volume} 4194304`, step, "hv1");
    assert.deepEqual(seen, {
      ...{ uuid: "abcdef-GHIJ-klmn-OPQR-stuv-WXYZ-012345", sizeBytes: 4194304 },
      ...{ segmentType: "thin", pool: "pool", tags: step.addTags, users: [] },
      marks: parseTags(step.addTags),
    });
  });

  for (const printed of ["", `LVM-${volume} 1`, `LVM-${group}${volume} -1`])
    it(`refuses "${printed}"`, () => {
      assert.throws(() => parseCloneReport(printed, step, "hv1"), { code: "bad-probe-output" });
    });
});
