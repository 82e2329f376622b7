import assert from "node:assert/strict";
import {
  nvramPath,
  planPlacement,
  serialLogPath,
} from "../../../../components/planning/placement.ts";
import { planSshCommand } from "../../../../components/planning/ssh.ts";

const base = { stack: "lab", hypervisor: "hv", home: "/home/me/.groundwork", pool: {} };

describe("planPlacement", () => {
  it("keeps files of the system's libvirt below /var/lib/groundwork", () => {
    for (const uri of ["qemu:///system", "qemu+ssh://root@hv1/system"])
      assert.deepEqual(planPlacement({ ...base, uri }), {
        folder: "/var/lib/groundwork/pools/lab-hv",
        poolName: "groundwork-lab-hv",
        seeds: "/var/lib/groundwork/pools/lab-hv/seeds",
      });
  });

  it("keeps files of a libvirtd of our own in the home folder", () => {
    const uri = "qemu+unix:///system?socket=/run/groundwork/x/libvirt-sock";
    assert.equal(planPlacement({ ...base, uri }).folder, "/home/me/.groundwork/pools/lab-hv");
  });

  it("does what the configuration says", () => {
    const placement = planPlacement({
      ...base,
      uri: "qemu:///system",
      pool: { name: "seeds", path: "/srv/lab" },
    });
    assert.deepEqual(placement, { folder: "/srv/lab", poolName: "seeds", seeds: "/srv/lab/seeds" });
    assert.equal(serialLogPath(placement, "vm1"), "/srv/lab/logs/vm1.log");
    assert.equal(nvramPath(placement, "vm1"), "/srv/lab/nvram/vm1.fd");
  });
});

describe("planSshCommand", () => {
  const options = { stack: "lab", machine: "vm1", cwd: "/home/me/groundwork" };

  it("names the file as seen from the folder of the checkout", () => {
    assert.equal(
      planSshCommand({ ...options, home: "/home/me/groundwork/.groundwork" }),
      "ssh -F .groundwork/ssh/lab/config vm1",
    );
  });

  it("names a file elsewhere by its whole path, quoted where it must be", () => {
    assert.equal(
      planSshCommand({ ...options, home: "/srv/it's here" }),
      "ssh -F '/srv/it'\\''s here/ssh/lab/config' vm1",
    );
  });
});
