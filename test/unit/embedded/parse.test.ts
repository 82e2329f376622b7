import assert from "node:assert/strict";
import {
  bytesOn,
  groupOf,
  groupsOn,
  inactiveVolumes,
  isLoopback,
  isOurRecord,
  parseLoops,
  parsePortHolder,
  parseSegments,
  parseVolumes,
  portOf,
} from "../../../embedded/core/parse.ts";

const MiB = 1024 ** 2;

const printed = [
  "  /dev/loop0|lab|groundwork,x|1048576|4194304|0|256|linear|vm1-root",
  "  /dev/loop0|lab|groundwork,x|1048576|4194304|256|10|free|",
  "",
].join("\n");

describe("parseSegments", () => {
  it("computes where a volume lies", () => {
    const [root, free] = parseSegments(printed);
    assert.deepEqual(root, {
      physicalVolume: "/dev/loop0",
      group: "lab",
      tags: ["groundwork", "x"],
      offset: MiB,
      bytes: 1024 * MiB,
      kind: "linear",
      volume: "vm1-root",
    });
    assert.equal(free?.volume, undefined);
    assert.equal(free?.offset, 1025 * MiB);
  });

  it("finds no group in no output", () => {
    assert.equal(groupOf(parseSegments("")), undefined);
  });

  it("keeps a group without tags apart from one with an empty tag", () => {
    assert.deepEqual(groupOf(parseSegments("/dev/sda2|vg0||0|4|0|1|free|")), {
      physicalVolumes: ["/dev/sda2"],
      tags: [],
    });
  });
});

describe("groupsOn", () => {
  it("finds groups by where they lie, and none on a device of no group", () => {
    const found = parseSegments(`${printed}/dev/loop1|||0|0|0|0||\n/dev/loop2|x||0|1|0|1|free|`);
    const loops = ["/dev/loop0", "/dev/loop1"].map((name) => ({
      ...{ name, file: "/f", deleted: true, offset: 0, bytes: 0 },
    }));
    assert.deepEqual(groupsOn(found, loops), [{ name: "lab", loop: "/dev/loop0" }]);
  });
});

describe("bytesOn", () => {
  it("adds up what is taken and what is free", () => {
    assert.equal(bytesOn(parseSegments(printed), "/dev/loop0"), 1064 * MiB);
    assert.equal(bytesOn(parseSegments(printed), "/dev/loop1"), undefined);
  });
});

describe("parseLoops", () => {
  const row = (file: string | null): string =>
    JSON.stringify({
      loopdevices: [{ name: "/dev/loop3", offset: 1048576, sizelimit: "512", "back-file": file }],
    });

  it("reads numbers, whether printed as such or as texts", () => {
    const [loop] = parseLoops(row("/a/volumes.img"));
    assert.deepEqual(loop, {
      name: "/dev/loop3",
      file: "/a/volumes.img",
      deleted: false,
      offset: MiB,
      bytes: 512,
    });
  });

  it("knows a file that was removed", () => {
    const [loop] = parseLoops(row("/a/volumes.img (deleted)"));
    assert.equal(loop?.file, "/a/volumes.img");
    assert.equal(loop.deleted, true);
  });

  it("takes silence for none", () => {
    assert.deepEqual(parseLoops("\n"), []);
  });
});

describe("parseVolumes", () => {
  it("leaves out pools, and what activation skips", () => {
    const lines = [
      ...["  pool|thin,pool|", "  vm1-root|thin,sparse|", "  data|linear|"],
      "  before|thin,sparse|skip activation",
    ];
    assert.deepEqual(parseVolumes(`${lines.join("\n")}\n`), ["vm1-root", "data"]);
    assert.deepEqual(parseVolumes(""), []);
  });
});

describe("inactiveVolumes", () => {
  const segments = parseSegments(printed);
  const loop = { name: "/dev/loop3", file: "/f", deleted: false, offset: MiB, bytes: 1024 * MiB };
  const volumes = ["vm1-root"];
  const leads = new Map([["vm1-root", "/dev/loop3"]]);

  it("is satisfied with a loop device over exactly the volume", () => {
    assert.deepEqual(inactiveVolumes("loop", volumes, segments, [loop], leads), []);
  });

  it("names a volume without a device", () => {
    assert.deepEqual(inactiveVolumes("loop", volumes, segments, [loop], new Map()), volumes);
    assert.deepEqual(inactiveVolumes("device-mapper", volumes, segments, [], new Map()), volumes);
  });

  it("asks no device of what lies inside of a pool", () => {
    const inside = parseSegments("/dev/loop0|lab||0|4|0|1|linear|[pool_tdata]\n");
    const thin = new Map([["vm1-root", "/dev/dm-4"]]);
    assert.deepEqual(inactiveVolumes("device-mapper", volumes, inside, [], thin), []);
  });

  it("names a volume whose device is of another place or size", () => {
    for (const wrong of [{ offset: 2 * MiB }, { bytes: MiB }, { name: "/dev/loop4" }])
      assert.deepEqual(inactiveVolumes("loop", volumes, segments, [{ ...loop, ...wrong }], leads), [
        "vm1-root",
      ]);
  });
});

describe("isOurRecord", () => {
  const record = (groupTags: string, volumeTags: string, device: string): string =>
    [
      "lab {",
      `\ttags = [${groupTags}]`,
      `\t\t\tdevice = "${device}"\t# Hint only`,
      `\t\t\ttags = [${volumeTags}]`,
      "}",
    ].join("\n");

  it("knows a group with our tag on a loop device", () => {
    assert.ok(isOurRecord(record('"x", "groundwork"', "", "/dev/loop3"), "groundwork"));
  });

  it("leaves a group of somebody else, whatever the tags of its volumes", () => {
    assert.ok(!isOurRecord(record("", '"groundwork"', "/dev/loop3"), "groundwork"));
    assert.ok(!isOurRecord(record('"groundwork"', "", "/dev/sda2"), "groundwork"));
    assert.ok(!isOurRecord("", "groundwork"));
  });
});

describe("parsePortHolder", () => {
  it("names program and process", () => {
    const line =
      'LISTEN 0 4096 127.0.0.1:9000 0.0.0.0:* users:(("nginx",pid=123,fd=7),("nginx",pid=124,fd=7))';
    assert.equal(parsePortHolder(line), "nginx (pid 123)");
    assert.equal(parsePortHolder(""), undefined);
  });
});

describe("isLoopback and portOf", () => {
  it("know this machine", () => {
    for (const host of ["127.0.0.1", "127.8.9.1", "localhost", "[::1]"])
      assert.ok(isLoopback(`http://${host}:9000`), host);
    for (const host of ["10.0.0.1", "127.0.0.1.example.org", "[fd00::1]"])
      assert.ok(!isLoopback(`http://${host}:9000`), host);
  });

  it("know the ports that a URL leaves out", () => {
    assert.deepEqual(
      ["http://a", "https://a", "http://a:81"].map((url) => portOf(url)),
      [80, 443, 81],
    );
  });
});
