import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import {
  type Activation,
  checkedName,
  devicePath,
  parseActivation,
  renderDetectActivation,
  renderVolumeScript,
  volumeGroupCommands,
} from "../../../../providers/volume-group/core/commands.ts";

describe("checkedName", () => {
  for (const name of ["lab", "vm1-root", "a.b_c+d", "_x", "9"])
    it(`takes ${name}`, () => {
      assert.equal(checkedName("volume", name), name);
    });

  for (const name of [
    "",
    "-x",
    ".",
    "..",
    "a/b",
    "a b",
    "a;id",
    "$(id)",
    "ä",
    "a\n",
    "x".repeat(128),
  ])
    it(`refuses ${JSON.stringify(name.slice(0, 8))}`, () => {
      assert.throws(() => checkedName("volume", name), { code: "bad-volume-name" });
    });
});

describe("parseActivation", () => {
  it("reads what the probe prints on this machine", () => {
    const { stdout } = spawnSync("bash", ["-c", renderDetectActivation()], { encoding: "utf8" });
    assert.match(parseActivation(stdout), /^(device-mapper|loop)$/);
  });

  it("does not take anything else for an answer", () => {
    assert.throws(() => parseActivation(""), { code: "activation-unknown" });
  });
});

describe("devicePath", () => {
  it("is where LVM links a volume", () => {
    assert.equal(devicePath("lab", "vm1-root"), "/dev/lab/vm1-root");
  });
});

for (const activation of ["device-mapper", "loop"] satisfies Activation[])
  describe(`volumeGroupCommands for ${activation}`, () => {
    const vg = volumeGroupCommands(activation);

    it("renders scripts that bash can read", () => {
      const script = renderVolumeScript(vg, [
        vg.create("lab", "vm1-root", 4096, ["owner=lab/local"]),
        vg.activate("lab", "vm1-root"),
        vg.activateAll("lab"),
        vg.extend("lab", "vm1-root", 8192),
        vg.resizeActive("lab", "vm1-root"),
        vg.assertIdle("lab", "vm1-root"),
        vg.deactivate("lab", "vm1-root"),
        vg.remove("lab", "vm1-root"),
        vg.lvm("lvs", "lab"),
      ]);
      const result = spawnSync("bash", ["-n"], { input: script, encoding: "utf8" });
      assert.equal(result.stderr, "");
    });

    it("takes the group's lock for everything that changes it", () => {
      const changes = [
        vg.create("lab", "x", 512),
        vg.activate("lab", "x"),
        vg.activateAll("lab"),
        vg.deactivate("lab", "x"),
        vg.extend("lab", "x", 512),
        vg.remove("lab", "x"),
      ];
      for (const line of changes) assert.match(line, /^vg_locked lab vg_\w+ lab/);
    });

    it("refuses names that LVM would not take, whatever they would do in a shell", () => {
      for (const bad of ["x;id", "$(id)", "-f", "..", "a b"]) {
        assert.throws(() => vg.activate(bad, "x"), { code: "bad-volume-name" });
        assert.throws(() => vg.remove("lab", bad), { code: "bad-volume-name" });
        assert.throws(() => vg.assertIdle("lab", bad), { code: "bad-volume-name" });
      }
    });

    it("keeps tags and words inert", () => {
      assert.match(vg.create("lab", "x", 512, ["a;id"]), /--addtag 'a;id'$/);
      assert.equal(vg.lvm("lvs", "-o", "$(id)"), "vg_lvm lvs -o '$(id)'");
    });

    it("asks for whole sectors and never for less than was wanted", () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 2 ** 50 }), (bytes) => {
          const asked = Number(/ (\d+)$/.exec(vg.extend("lab", "x", bytes))?.[1]);
          assert.ok(asked % 512 === 0 && asked >= bytes && asked - bytes < 512);
        }),
      );
    });

    it("has no volumes without a size", () => {
      for (const bytes of [0, -1, Number.NaN, 1.5])
        assert.throws(() => vg.create("lab", "x", bytes));
    });
  });

describe("vg_place", () => {
  /** Where a volume of so many extents of 4 MiB goes; rows are [first, count, volume?]. */
  function place(need: number, rows: [number, number, string?][]): string {
    const table = rows
      .map(([first, count, volume]) => {
        const kind = volume === undefined ? "free" : "linear";
        return `/dev/sda 1048576 4194304 ${String(first)} ${String(count)} ${kind} ${volume ?? ""}`;
      })
      .join("\n");
    const script = `${volumeGroupCommands("loop").prelude}\ntable='${table}'\nvg_place ${String(need)} || echo none`;
    return spawnSync("bash", [], { input: script, encoding: "utf8" }).stdout.trim();
  }

  it("begins an empty group at its first extent", () => {
    assert.equal(place(10, [[0, 100]]), "/dev/sda:0-9");
  });

  it("leaves the volume before it as much room as it keeps behind itself", () => {
    assert.equal(
      place(10, [
        [0, 10, "a"],
        [10, 90],
      ]),
      "/dev/sda:50-59",
    );
  });

  it("leaves at most 8 GiB", () => {
    assert.equal(
      place(10, [
        [0, 10, "a"],
        [10, 100_000],
      ]),
      "/dev/sda:2058-2067",
    );
  });

  it("takes the largest run that is free", () => {
    assert.equal(
      place(5, [
        [0, 5],
        [5, 5, "a"],
        [10, 10],
      ]),
      "/dev/sda:12-16",
    );
  });

  it("finds nothing where no run is large enough, though all together are", () => {
    assert.equal(
      place(8, [
        [0, 5],
        [5, 5, "a"],
        [10, 5],
      ]),
      "none",
    );
  });
});
