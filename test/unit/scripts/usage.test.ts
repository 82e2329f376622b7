import * as assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  buildUsage,
  parseDomainStats,
  parseGroups,
  parseNodeMemory,
} from "../../../scripts/lib/usage-plan.ts";
import { describeUsage } from "../../../scripts/lib/usage-report.ts";

/** As libvirt 9.0 prints it, shortened. */
const stats = (cpuTime: number, written: number): string => `Domain: 'vm1'
  state.state=1
  state.reason=1
  cpu.time=${String(cpuTime)}
  balloon.current=1048576
  balloon.usable=524288
  balloon.rss=57756
  vcpu.current=2
  net.count=1
  net.0.name=vnet0
  net.0.rx.bytes=1000
  net.0.tx.bytes=2000
  block.count=2
  block.0.path=/dev/lab/vm1-root
  block.0.rd.bytes=10
  block.0.wr.bytes=${String(written)}
  block.1.rd.bytes=5
  block.1.wr.bytes=7

Domain: 'off'
  state.state=5
  cpu.time=190000000
  balloon.current=16384
  vcpu.current=1
  block.count=1
  block.0.capacity=1048576

`;

describe("parseDomainStats", () => {
  it("adds up a domain's disks and networks", () => {
    const [vm1, off] = parseDomainStats(stats(3_000_000_000, 100));
    assert.deepEqual(vm1, {
      ...{ name: "vm1", state: "running", vcpus: 2, cpuSeconds: 3, memoryBytes: 2 ** 30 },
      ...{ residentBytes: 57756 * 1024, usableBytes: 2 ** 29 },
      ...{ diskReadBytes: 15, diskWrittenBytes: 107, networkInBytes: 1000, networkOutBytes: 2000 },
    });
    assert.deepEqual(
      [off?.state, off?.residentBytes, off?.usableBytes],
      ["shut off", 0, undefined],
    );
  });

  it("never throws, whatever it is given", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("Domain: ", "'x'\n", "  net.count=9999999999\n", "  =\n", "é")),
        (pieces) => {
          parseDomainStats(pieces.join(""));
        },
      ),
    );
  });
});

describe("buildUsage", () => {
  it("is the average of a second, and 100 % is one processor", () => {
    const [vm1] = buildUsage(
      parseDomainStats(stats(1e9, 100)),
      parseDomainStats(stats(4e9, 2100)),
      2,
    );
    assert.deepEqual([vm1?.cpuPercent, vm1?.diskWrittenBytesPerSecond], [150, 1000]);
  });

  it("counts a domain that was started anew from nothing, and a new one not at all", () => {
    const after = parseDomainStats(stats(1e9, 100));
    const [again] = buildUsage(parseDomainStats(stats(9e9, 900)), after, 1);
    assert.deepEqual([again?.cpuPercent, again?.diskWrittenBytesPerSecond], [100, 107]);
    assert.equal(buildUsage([], after, 1)[0]?.cpuPercent, 0);
  });
});

describe("describeUsage", () => {
  it("names what is used of memory, groups, pools, cache and machines", () => {
    const memory = parseNodeMemory(
      "total  :  8388608 KiB\nfree   :  1048576 KiB\nbuffers:  1048576 KiB\ncached :  2097152 KiB\n",
    );
    const [group] = parseGroups("  lab\t107374182400\t53687091200\nrubbish\n");
    assert.ok(group);
    const lines = describeUsage({
      memory,
      machines: buildUsage([], parseDomainStats(stats(1e9, 0)), 1),
      volumeGroups: [
        {
          ...{ ...group, volumes: 3, volumeBytes: 12 * 2 ** 30 },
          pools: [{ name: "pool", sizeBytes: 2 ** 30, dataPercent: 33.3, metadataPercent: 1 }],
        },
      ],
      cache: { folder: "/cache", bytes: 2 ** 20, files: 2, freeBytes: 2 ** 30 },
    });
    assert.deepEqual(lines.slice(0, 4), [
      "memory: 4 GiB of 8 GiB used",
      "volume group lab: 50 GiB of 100 GiB used, 12 GiB by 3 volumes of this stack",
      "thin pool lab/pool: 33.3 % of 1 GiB used, 1.0 % of its metadata",
      "image cache /cache: 1 MiB in 2 files, 1 GiB free",
    ]);
    assert.match(lines[5] ?? "", /^vm1 +running +0\.0 % of 200 +512 MiB of 1 GiB +56\.4 MiB /);
  });
});
