import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";
import { labMachine, labSections } from "../support/lab.ts";
import { isMarkedSecret, type MockedRun, runMocked } from "../support/mocked-program.ts";

type Program = typeof import("../../index.ts");

const hostKey = "ssh-ed25519 AAAAhost vm1";
const privateKey = "-----BEGIN OPENSSH PRIVATE KEY-----";

/** What each provider would answer; in preview only what its `check` computes. */
function answer(type: string, name: string, inputs: Record<string, unknown>): object {
  const kind = type.split(/[:/]/).at(-1) ?? "";
  const computed: Record<string, object> = {
    HostFacts: {
      accelerator: "qemu",
      firmware: { uefi: { code: "/code.fd", vars: "/vars.fd" } },
      cpus: 8,
      memoryMiB: 8000,
      memoryAvailableMiB: 6000,
      reachable: true,
    },
  };
  const created: Record<string, object> = {
    KeyPair: { publicKey: name === "login" ? "ssh-ed25519 AAAAlogin" : hostKey, privateKey },
    ImageVolume: {
      devicePath: `/dev/${String(inputs["volumeGroup"])}/${String(inputs["volumeName"])}`,
      volumeUuid: `uuid-of-${name}`,
      ...(inputs["image"] !== undefined && {
        digest: "d".repeat(64),
        contentId: `dddddddddddd.${String(Number(inputs["generation"]) + 1)}`,
      }),
    },
  };
  return { ...computed[kind], ...(pulumi.runtime.isDryRun() ? {} : created[kind]) };
}

let runs = 0;

/** Runs the whole program as Pulumi does, perhaps with other facts of the host. */
async function deploy(
  preview: boolean,
  sections: Record<string, unknown> = labSections(),
  facts: object = {},
): Promise<MockedRun<Program>> {
  pulumi.runtime.setAllConfig(
    Object.fromEntries(
      Object.entries(sections).map(([key, value]) => [key, JSON.stringify(value)]),
    ),
  );
  runs += 1;
  return runMocked(() => import(`../../index.ts?run=${String(runs)}`) as Promise<Program>, {
    preview,
    answer: (type, name, inputs) => ({
      ...answer(type, name, inputs),
      ...(type.endsWith("HostFacts") && facts),
    }),
  });
}

const withMachine = (changes: object): Record<string, unknown> => ({
  ...labSections(),
  "groundwork:machines": [{ ...labMachine(), ...changes }],
});

const valueOf = <T>(output: pulumi.Input<T>): Promise<pulumi.Unwrap<T>> =>
  new Promise((resolve) => pulumi.output(output).apply(resolve));

describe("a lab in preview", () => {
  let run: MockedRun<Program>;
  before(async () => {
    run = await deploy(true);
  });

  it("shows every resource it will make", () => {
    const count = (suffix: string): number =>
      run.resources.filter(({ type }) => type.endsWith(suffix)).length;
    for (const component of ["Hypervisor", "Network", "VirtualMachine"])
      assert.equal(count(`groundwork:index:${component}`), 1, component);
    for (const [suffix, wanted] of Object.entries({
      HostFacts: 1,
      HostFolder: 1,
      "pool:Pool": 1,
      "network:Network": 1,
      ImageVolume: 1,
      KeyPair: 2,
      CloudinitDisk: 1,
      DomainShutdown: 1,
      "domain:Domain": 1,
      MachineReady: 1,
    }))
      assert.equal(count(suffix), wanted, suffix);
  });

  it("knows before anything is made what the domain will run on", () => {
    const { inputs } = run.one("domain:Domain");
    assert.equal(inputs["type"], "qemu");
    assert.deepEqual(inputs["cpu"], { mode: "maximum" });
    assert.equal(inputs["firmware"], "/code.fd");
  });

  it("knows the address, the MAC and the SSH command of a machine", () => {
    const machine = run.result.machines["vm1"];
    assert.deepEqual(machine?.addresses, ["192.168.150.10"]);
    assert.match(machine.mac, /^52:54:00:/);
    assert.match(machine.sshCommand, /^ssh -F \S+ vm1$/);
  });
});

describe("a hypervisor whose cache shall have images", () => {
  it("has them looked after as objects of the store", async () => {
    const hypervisor = { name: "hv", volumeGroup: "vg", cache: { images: ["debian"] } };
    const run = await deploy(true, { ...labSections(), "groundwork:hypervisors": [hypervisor] });
    const { inputs } = run.one("ImageCache");
    assert.deepEqual(
      [inputs["hypervisorUris"], inputs["images"]],
      [
        ["qemu:///system"],
        [
          {
            endpoint: "http://127.0.0.1:9000",
            region: "us-east-1",
            bucket: "images",
            key: "debian.qcow2",
          },
        ],
      ],
    );
  });
});

describe("a lab in an update", () => {
  let run: MockedRun<Program>;
  before(async () => {
    run = await deploy(false);
  });

  it("keeps every resource of a component below it", () => {
    const parents = Object.fromEntries(
      run.resources
        .filter(({ type }) => !type.startsWith("groundwork:"))
        .map(({ type, name, parent }) => [`${type.split(/[:/]/).at(-1) ?? ""} ${name}`, parent]),
    );
    assert.deepEqual(parents, {
      "KeyPair login": undefined,
      "HostFacts hv": "hv",
      "HostFolder hv": "hv",
      "libvirt hv": "hv",
      "Pool hv": "hv",
      "Network lab": "lab",
      "ImageVolume vm1-root": "vm1",
      "KeyPair vm1-host": "vm1",
      "CloudinitDisk vm1": "vm1",
      "DomainShutdown vm1": "vm1",
      "Domain vm1": "vm1",
      "MachineReady vm1": "vm1",
    });
  });

  it("connects to the hypervisor once it is known to answer", async () => {
    assert.equal(run.one("providers:libvirt").inputs["uri"], "qemu:///system");
    const unreachable = await deploy(true, labSections(), { reachable: undefined });
    assert.notEqual(unreachable.one("providers:libvirt").inputs["uri"], "qemu:///system");
  });

  it("speaks to the hypervisor through its own provider everywhere", () => {
    for (const { type, options } of run.resources)
      if (type.startsWith("libvirt:"))
        assert.ok(pulumi.ProviderResource.isInstance(options.provider), type);
  });

  it("makes anew on another hypervisor what is libvirt's", () => {
    for (const type of ["network:Network", "CloudinitDisk", "domain:Domain"])
      assert.equal(run.one(type).options.replacementTrigger, "hv", type);
  });

  it("makes the root volume of the image and says whose it is", () => {
    const { inputs } = run.one("ImageVolume");
    assert.deepEqual(
      { ...inputs, __provider: undefined },
      {
        __provider: undefined,
        hypervisorUri: "qemu:///system",
        volumeGroup: "vg",
        volumeName: "vm1-root",
        sizeGiB: 4,
        generation: 0,
        allowStop: false,
        shutdownTimeoutSeconds: 120,
        strategy: "inPlace",
        cacheEncoding: "zstd",
        keepPrevious: false,
        startAgain: false,
        wipe: "zero",
        owner: "groundwork/lab",
        image: {
          endpoint: "http://127.0.0.1:9000",
          region: "us-east-1",
          bucket: "images",
          key: "debian.qcow2",
        },
      },
    );
  });

  it("attaches the volumes as devices and the seed by its volume", () => {
    assert.deepEqual(run.one("domain:Domain").inputs["disks"], [
      { blockDevice: "/dev/vg/vm1-root" },
      { volumeId: "vm1-id" },
    ]);
  });

  it("sets firmware and variables itself, below the stack's folder", () => {
    const { inputs } = run.one("domain:Domain");
    assert.deepEqual(inputs["nvram"], {
      file: "/var/lib/groundwork/pools/lab-hv/nvram/vm1.fd",
      template: "/vars.fd",
    });
  });

  it("attaches a fixed address without a reservation", () => {
    const [nic] = run.one("domain:Domain").inputs["networkInterfaces"] as object[];
    assert.deepEqual(Object.keys(nic ?? {}).sort(), ["mac", "networkId"]);
  });

  it("resolves the machines' names, and hands out the upper half of the subnet", () => {
    const { inputs } = run.one("network:Network");
    assert.deepEqual(inputs["dns"], {
      enabled: true,
      localOnly: true,
      hosts: [{ hostname: "vm1", ip: "192.168.150.10" }],
    });
    assert.match(JSON.stringify(inputs["xml"]), /192\.168\.150\.128/);
  });

  it("encrypts the seed, which holds the private host key, and marks it so for refresh", () => {
    const { inputs, options } = run.one("CloudinitDisk");
    assert.ok(isMarkedSecret(inputs["userData"]));
    assert.deepEqual(options.additionalSecretOutputs, ["userData"]);
  });

  it("lets the private keys nowhere else than into secrets", () => {
    for (const { type, name, inputs } of run.resources)
      for (const [key, value] of Object.entries(inputs))
        if (JSON.stringify(value).includes(privateKey))
          assert.ok(isMarkedSecret(value), `${type} ${name}: ${key}`);
  });

  it("puts no secret into the outputs but `ssh`, which is one", async () => {
    assert.equal(await pulumi.isSecret(pulumi.output(run.result.machines)), false);
    assert.equal(await pulumi.isSecret(pulumi.output(run.result.hypervisors)), false);
    assert.equal(await pulumi.isSecret(run.result.ssh), true);
    const plain = await valueOf([run.result.machines, run.result.hypervisors]);
    assert.doesNotMatch(JSON.stringify(plain), /PRIVATE KEY/);
  });

  it("says in its outputs what the machine is made of", async () => {
    const { vm1 } = await valueOf<Record<string, object>>(run.result.machines);
    assert.deepEqual(
      { ...vm1, mac: undefined, sshCommand: undefined },
      {
        name: "vm1",
        addresses: ["192.168.150.10"],
        mac: undefined,
        sshCommand: undefined,
        volumePath: "/dev/vg/vm1-root",
        imageDigest: "d".repeat(64),
        serialLogPath: "/var/lib/groundwork/pools/lab-hv/logs/vm1.log",
      },
    );
    assert.deepEqual(await valueOf(run.result.hypervisors), {
      hv: { uri: "qemu:///system", volumeGroup: "vg", accelerator: "qemu" },
    });
  });

  it("waits for the machine with the pinned key, and again for every new domain or seed", () => {
    const { inputs } = run.one("MachineReady");
    assert.equal(inputs["hostPublicKey"], hostKey);
    assert.equal(inputs["address"], "192.168.150.10");
    assert.ok(isMarkedSecret(inputs["privateKey"]));
    const { trigger: domain, uuid } = run.one("DomainShutdown").inputs;
    assert.equal(inputs["uuid"], uuid);
    assert.match(String(domain), /^[0-9a-f]{64}$/);
    assert.deepEqual(inputs["triggers"], [
      `vm1-id ${String(domain)} uuid-of-vm1-root dddddddddddd.1`,
    ]);
  });

  it("replaces what has a name of its own on the host by removing the old one first", () => {
    for (const type of ["domain:Domain", "network:Network", "pool:Pool"])
      assert.equal(run.one(type).options.deleteBeforeReplace, true, type);
  });

  it("shuts a domain down before another one takes its place, and only then", async () => {
    const { inputs, options } = run.one("domain:Domain");
    const [shutdown] = [options.dependsOn].flat();
    assert.ok(pulumi.Resource.isInstance(shutdown));
    assert.match(await valueOf(shutdown.urn), /DomainShutdown::vm1$/);
    const wish = run.one("DomainShutdown").inputs;
    assert.ok(JSON.stringify(inputs["xml"]).includes(`<uuid>${String(wish["uuid"])}</uuid>`));
    assert.equal(wish["timeoutSeconds"], 120);
    const triggers = run.one("MachineReady").inputs["triggers"];
    const changesDomain = async (changes: object): Promise<boolean> => {
      const other = await deploy(false, withMachine(changes));
      const changed = other.one("DomainShutdown").inputs["trigger"] !== wish["trigger"];
      // Another domain is waited for.
      assert.equal(
        isDeepStrictEqual(other.one("MachineReady").inputs["triggers"], triggers),
        !changed,
      );
      return changed;
    };
    for (const changes of [{}, { autostart: false }])
      assert.equal(await changesDomain(changes), false);
    const data = { name: "data", sizeGiB: 1 };
    for (const changes of [{ memoryMiB: 2048 }, { vnc: true }, { volumes: [data] }])
      assert.equal(await changesDomain(changes), true);
  });

  it("names the seed after its content", () => {
    const name = JSON.stringify(run.one("CloudinitDisk").inputs["name"]);
    assert.match(name, /^"vm1-[0-9a-f]{12}\.iso"$/);
  });
});

describe("a machine", () => {
  /** The cloud-config of the machine. */
  const userData = (run: MockedRun<Program>): Record<string, unknown> =>
    parse(String((run.one("CloudinitDisk").inputs["userData"] as { value: unknown }).value), {
      version: "1.1",
    }) as Record<string, unknown>;

  it("gets further volumes as empty disks between root and seed", async () => {
    const run = await deploy(false, withMachine({ volumes: [{ name: "data", sizeGiB: 10 }] }));
    assert.equal(run.one("ImageVolume", "vm1-data").inputs["image"], undefined);
    assert.deepEqual(run.one("domain:Domain").inputs["disks"], [
      { blockDevice: "/dev/vg/vm1-root" },
      { blockDevice: "/dev/vg/vm1-data" },
      { volumeId: "vm1-id" },
    ]);
  });

  it("gets a further volume with the content of an image", async () => {
    const run = await deploy(
      false,
      withMachine({ volumes: [{ name: "data", sizeGiB: 10, image: "debian" }] }),
    );
    const image = run.one("ImageVolume", "vm1-data").inputs["image"] as { key?: string };
    assert.equal(image.key, "debian.qcow2");
  });

  it("gets its volumes from the volume group that they name", async () => {
    const run = await deploy(
      false,
      withMachine({ rootVolume: { image: "debian", sizeGiB: 4, volumeGroup: "fast" } }),
    );
    assert.equal(run.one("ImageVolume").inputs["volumeGroup"], "fast");
  });

  it("gets a new instance-id, and keeps its host key, when its root volume is written anew", async () => {
    const seeds = [];
    for (const generation of [0, 1]) {
      const rootVolume = { image: "debian", sizeGiB: 4, generation, allowStop: true };
      const run = await deploy(false, withMachine({ rootVolume }));
      const { allowStop, startAgain } = run.one("ImageVolume").inputs;
      assert.deepEqual({ allowStop, startAgain }, { allowStop: true, startAgain: false });
      const { name, metaData } = run.one("CloudinitDisk").inputs;
      const [id] = /vm1-[0-9a-f]{12}/.exec(String(name)) ?? [];
      assert.ok(id !== undefined && String(metaData).includes(id));
      seeds.push({ id, keys: userData(run)["ssh_keys"] });
    }
    assert.notEqual(seeds[0]?.id, seeds[1]?.id);
    assert.deepEqual(seeds[0]?.keys, seeds[1]?.keys);
  });

  it("lets in the stack's key, the lab's and its own, and may have a user of its own", async () => {
    const key = (name: string): string => `ssh-ed25519 AAAA${name} ${name}`;
    const run = await deploy(false, {
      ...withMachine({ cloudInit: { user: "admin", authorizedKeys: [key("own")] } }),
      "groundwork:ssh": { authorizedKeys: [key("lab")] },
    });
    const [user] = userData(run)["users"] as Record<string, unknown>[];
    assert.equal(user?.["name"], "admin");
    assert.deepEqual(user["ssh_authorized_keys"], [
      "ssh-ed25519 AAAAlogin",
      key("lab"),
      key("own"),
    ]);
    assert.equal(run.one("MachineReady").inputs["user"], "admin");
  });

  it("asks libvirt for a reservation where its address comes from DHCP", async () => {
    const networks = [{ network: "lab", address: "192.168.150.200", dhcp: true }];
    const run = await deploy(false, withMachine({ networks }));
    const [nic] = run.one("domain:Domain").inputs["networkInterfaces"] as Record<string, unknown>[];
    assert.deepEqual(nic?.["addresses"], ["192.168.150.200"]);
    assert.equal(nic["hostname"], "vm1");
  });

  it("is attached to a bridge or an existing network without making any", async () => {
    for (const [network, wanted] of [
      [{ mode: "bridge", bridge: "br0" }, { bridge: "br0" }],
      [{ mode: "existing" }, { networkName: "lab" }],
    ] as const) {
      const run = await deploy(false, {
        ...labSections(),
        "groundwork:networks": [
          { name: "lab", hypervisor: "hv", cidr: "192.168.150.0/24", ...network },
        ],
      });
      assert.ok(!run.resources.some(({ type }) => type.endsWith("network:Network")));
      const [nic] = run.one("domain:Domain").inputs["networkInterfaces"] as object[];
      assert.deepEqual({ ...nic, mac: undefined }, { ...wanted, mac: undefined });
    }
  });

  it("takes the pinned digest of its image along", async () => {
    const run = await deploy(false, {
      ...labSections(),
      "groundwork:images": [{ name: "debian", sha256: "a".repeat(64) }],
    });
    const image = run.one("ImageVolume").inputs["image"] as Record<string, unknown>;
    assert.equal(image["sha256"], "a".repeat(64));
  });
});

describe("a program with a wrong configuration", () => {
  it("ends with the list of problems, without a stack trace", async () => {
    await assert.rejects(deploy(true, withMachine({ vcpus: "many" })), (error: unknown) => {
      assert.ok(pulumi.RunError.isInstance(error), "Pulumi would print a stack");
      assert.match(error.message, /machines\[0\]\.vcpus is "many"/);
      return true;
    });
  });
});

describe("an observability lab", () => {
  const withLab = (section: object): Record<string, unknown> => ({
    ...labSections(),
    "groundwork:observability": section,
  });
  const archive = { variable: "IMAGE_BACKEND", image: "lab/backend:1", key: "backend.tar" };

  it("is deployed to its machine once that is ready, and again when that is another", async () => {
    const run = await deploy(false, withLab({ machine: "vm1" }));
    const { inputs, options, parent } = run.one("ComposeProject");
    assert.equal(parent, "observability");
    assert.equal(inputs["host"], "machine:vm1");
    assert.equal(inputs["path"], "/home/deploy/lab/app");
    assert.equal(inputs["owner"], "groundwork/lab");
    const domain = String(run.one("DomainShutdown").inputs["trigger"]);
    assert.deepEqual(inputs["triggers"], [`vm1-id ${domain} uuid-of-vm1-root dddddddddddd.1`]);
    assert.ok(options.dependsOn !== undefined);
    assert.deepEqual(run.result.observability?.urls, {
      frontend: "http://192.168.150.10/",
      backend: "http://192.168.150.10:5000/",
      prometheus: "http://192.168.150.10:9090/",
      grafana: "http://192.168.150.10:3000/",
    });
  });

  it("does not know in preview what becomes of a machine that is not there", async () => {
    const run = await deploy(true, withLab({ machine: "vm1" }));
    const { inputs } = run.one("ComposeProject");
    assert.doesNotMatch(JSON.stringify(inputs["triggers"] ?? []), /vm1/);
  });

  it("keeps its password a secret", async () => {
    const run = await deploy(false, withLab({ machine: "vm1" }));
    assert.ok(isMarkedSecret(run.one("ComposeProject").inputs["secrets"]));
    const password = run.result.observability?.grafanaPassword;
    assert.ok(password !== undefined && (await pulumi.isSecret(password)));
    assert.match(await valueOf(password), /^[A-Za-z0-9]{32}$/);
  });

  it("has its images brought from the object store", async () => {
    const section = { host: "ssh://deploy@10.0.0.7", images: "preload", archives: [archive] };
    const run = await deploy(false, withLab(section));
    const { inputs } = run.one("ComposeProject");
    assert.equal(inputs["host"], "ssh://deploy@10.0.0.7");
    assert.equal(inputs["images"], "preload");
    assert.deepEqual(inputs["archives"], [
      {
        ...{ image: "lab/backend:1", key: "backend.tar", bucket: "images" },
        ...{ endpoint: "http://127.0.0.1:9000", region: "us-east-1" },
      },
    ]);
    assert.equal(
      (inputs["environment"] as Record<string, string>)["IMAGE_BACKEND"],
      "lab/backend:1",
    );
    assert.equal(run.result.observability?.urls.grafana, undefined);
  });
});
