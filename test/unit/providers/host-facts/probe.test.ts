import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { renderBootSector } from "../../../../providers/host-facts/core/boot-sector.ts";
import { firmwareFiles, planFirmware } from "../../../../providers/host-facts/core/firmware.ts";
import { parseProbe, renderProbe } from "../../../../providers/host-facts/core/probe.ts";

const report = (kvm: string): string => `Compiled against library: libvirt 9.0.0
Running hypervisor: QEMU 7.2.22

=== groundwork:libvirt 0
/usr/bin/qemu-system-x86_64

=== groundwork:emulator 0
${kvm}
/usr/share/OVMF/OVMF_CODE_4M.fd
/usr/share/OVMF/OVMF_VARS_4M.fd

=== groundwork:files 0
2
MemTotal:       24684092 kB
MemAvailable:   23629072 kB

=== groundwork:size 0
`;

describe("parseProbe", () => {
  it("reads what the script of renderProbe prints", () => {
    const probe = parseProbe(report("\n=== groundwork:kvm 33"));
    assert.equal(probe.libvirt.answers, true);
    assert.equal(probe.emulator, "/usr/bin/qemu-system-x86_64");
    assert.deepEqual(probe.kvm, { works: true, output: "QEMU ended with status 33" });
    assert.deepEqual(
      [...probe.files],
      ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"],
    );
    assert.equal(probe.cpus, 2);
    assert.equal(probe.memoryMiB, 24105);
    assert.equal(probe.memoryAvailableMiB, 23075);
  });

  for (const { name, kvm, why } of [
    {
      name: "QEMU that aborts",
      kvm: "qemu-system-x86_64: warning: host doesn't support pni\nqemu-system-x86_64: error: failed to set MSR 0x10a to 0x69\nassertion\n\n=== groundwork:kvm 134",
      why: "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69",
    },
    {
      name: "a guest stuck in an internal error of KVM",
      kvm: "KVM internal error. Suberror: 1\nextra data[0]: 0x1\n\n=== groundwork:kvm 124",
      why: "KVM internal error. Suberror: 1",
    },
    {
      name: "a guest that hangs silently",
      kvm: "\n=== groundwork:kvm 124",
      why: "a test guest did not finish within 10 s",
    },
    {
      name: "no /dev/kvm",
      kvm: "/dev/kvm is missing\n\n=== groundwork:kvm 1",
      why: "/dev/kvm is missing",
    },
  ])
    it(`does not take KVM as working with ${name}, and says why`, () => {
      assert.deepEqual(parseProbe(report(kvm)).kvm, { works: false, output: why });
    });

  it("tells an untried KVM from one that does not work", () => {
    assert.equal(parseProbe(report("")).kvm, undefined);
  });

  it("takes a report that broke off as libvirt not answering", () => {
    assert.equal(parseProbe("Compiled against library").libvirt.answers, false);
  });
});

describe("renderProbe", () => {
  it("is a script that bash can read, with no word of the URI left unquoted", () => {
    const script = renderProbe("qemu:///system?socket=/a b'$(id)", { kvm: true });
    execFileSync("bash", ["-n"], { input: script });
    assert.ok(script.includes(`'qemu:///system?socket=/a b'\\''$(id)'`));
  });

  it("starts no guest when KVM is not asked for", () => {
    assert.doesNotMatch(renderProbe("qemu:///system", { kvm: false }), /^report kvm/m);
  });
});

describe("renderBootSector", () => {
  it("is 512 bytes with the signature at the end", () => {
    const bytes = execFileSync("bash", ["-c", `printf '${renderBootSector()}'`]);
    assert.equal(bytes.length, 512);
    assert.deepEqual([...bytes.subarray(510)], [0x55, 0xaa]);
  });
});

describe("planFirmware", () => {
  it("finds nothing where nothing is", () => {
    assert.deepEqual(planFirmware(new Set()), {});
  });

  it("takes no code without its variables", () => {
    assert.deepEqual(planFirmware(new Set(["/usr/share/OVMF/OVMF_CODE_4M.fd"])), {});
  });

  it("prefers the 4M build, and has its secure variant beside it", () => {
    assert.deepEqual(planFirmware(new Set(firmwareFiles)), {
      uefi: {
        code: "/usr/share/OVMF/OVMF_CODE_4M.fd",
        vars: "/usr/share/OVMF/OVMF_VARS_4M.fd",
      },
      uefiSecure: {
        code: "/usr/share/OVMF/OVMF_CODE_4M.ms.fd",
        vars: "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
      },
    });
  });

  it("knows Fedora's files", () => {
    const folder = "/usr/share/edk2/ovmf";
    const files = ["OVMF_CODE.fd", "OVMF_VARS.fd", "OVMF_CODE.secboot.fd", "OVMF_VARS.secboot.fd"];
    assert.deepEqual(planFirmware(new Set(files.map((file) => `${folder}/${file}`))), {
      uefi: { code: `${folder}/OVMF_CODE.fd`, vars: `${folder}/OVMF_VARS.fd` },
      uefiSecure: {
        code: `${folder}/OVMF_CODE.secboot.fd`,
        vars: `${folder}/OVMF_VARS.secboot.fd`,
      },
    });
  });
});
