import { parseRecords } from "../../providers/compose-project/core/observed.ts";
import { prelude } from "../../providers/compose-project/core/scripts.ts";
import { quote } from "../../providers/host/core/script.ts";

/** What was seen of a machine; undefined where it could not be asked. */
export interface Sighting {
  machine: string;
  /** Where it is expected; undefined for a host that is no machine of the stack. */
  address?: string;
  /** libvirt's word for the domain; undefined for a host that is no machine of the stack. */
  domain?: { state: string } | { problem: string };
  /** What kept SSH from working; undefined when it works. */
  sshProblem?: string;
  guest?: GuestSighting;
}

export interface GuestSighting {
  addresses: string[];
  /** Version of Docker's engine, when it answers. */
  engine?: string;
  compose?: string;
  /** Free bytes by mount point, of the file systems that Docker and the project are on. */
  freeBytes: Record<string, number>;
  internet: boolean;
  store: boolean;
}

export interface Wanted {
  /** Whether the observability lab runs there. */
  docker: boolean;
  /** Whether it must reach the internet or the object store. */
  network: boolean;
  /** Default: what the lab needs where it runs; else what a system needs to go on. */
  minimumFreeBytes?: number | undefined;
}

export interface Check {
  name: "running" | "ssh" | "address" | "docker" | "compose" | "disk" | "network";
  status: "passed" | "failed" | "skipped";
  /** What was seen, or why nothing was looked at. */
  seen: string;
  /** What to do; only for a failure. */
  next?: string;
}

/**
 * What is to be expected of a machine.
 * @param lab where the images of the lab that runs there come from; undefined without a lab
 * @param isolated whether it is on the embedded hypervisor, whose machines have no way out
 */
export function planWanted(
  lab: "pull" | "build" | "preload" | undefined,
  isolated: boolean,
): Wanted {
  return { docker: lab !== undefined, network: lab === undefined ? !isolated : lab === "pull" };
}

/** The script that looks at a machine from within. @param store host and port of the object store */
export function renderGuestProbe(store: { hostname: string; port: number }): string {
  const connects = (host: string, port: number): string =>
    `timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2"' bash ${quote(host)} ${String(port)} 2>/dev/null`;
  return [
    prelude,
    `say addresses "$(ip -4 -o addr show scope global 2>/dev/null | awk '{ sub("/.*", "", $4); print $4 }')"`,
    "find_docker || engine=",
    'say engine "$engine"',
    'say compose "$(docker compose version --short 2>/dev/null || true)"',
    "places=/",
    'for place in /var/lib/docker /var/lib/docker/volumes; do [ ! -d $place ] || places="$places $place"; done',
    'say disk "$(df -B1 --output=avail,target $places 2>/dev/null | tail -n +2 | sort -u)"',
    `if ping -c 1 -W 3 1.1.1.1 >/dev/null 2>&1 || ${connects("1.1.1.1", 443)}; then say internet yes; fi`,
    `if ${connects(store.hostname, store.port)}; then say store yes; fi`,
  ].join("\n");
}

/** Reads what the script said. */
export function parseGuestProbe(output: string): GuestSighting {
  const records = parseRecords(output);
  const text = (key: string): string => records.get(key)?.trim() ?? "";
  const disks = text("disk").split("\n").filter(Boolean);
  return {
    addresses: text("addresses").split("\n").filter(Boolean),
    ...(text("engine") !== "" && { engine: text("engine") }),
    ...(text("compose") !== "" && { compose: text("compose") }),
    freeBytes: Object.fromEntries(
      disks.map((line) => {
        const [, bytes = "0", target = ""] = /^\s*(\d+)\s+(.*)$/.exec(line) ?? [];
        return [target, Number(bytes)];
      }),
    ),
    internet: text("internet") === "yes",
    store: text("store") === "yes",
  };
}

const gb = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

/** The verification checklist, in the order in which one thing needs the other. */
export function judge(sighting: Sighting, wanted: Wanted): Check[] {
  const { machine, guest } = sighting;
  const inside = (
    name: Check["name"],
    look: (seen: GuestSighting) => Omit<Check, "name">,
  ): Check => ({
    name,
    ...(guest === undefined ? { status: "skipped", seen: "SSH does not work" } : look(guest)),
  });
  const passed = (seen: string) => ({ status: "passed" as const, seen });
  const failed = (seen: string, next: string) => ({ status: "failed" as const, seen, next });
  const skipped = (seen: string) => ({ status: "skipped" as const, seen });
  return [
    { name: "running", ...judgeDomain(sighting) },
    {
      name: "ssh",
      ...(sighting.sshProblem === undefined
        ? passed(`${machine} lets us in by key`)
        : failed(
            sighting.sshProblem,
            "See its serial log (`make up` prints where it is), and that sshd runs and has your key.",
          )),
    },
    inside("address", ({ addresses }) => {
      const { address } = sighting;
      const has = addresses.join(", ") || "none";
      if (address === undefined) return skipped(`it has ${has}, and is no machine of this stack`);
      if (addresses.includes(address)) return passed(address);
      return failed(
        `it has ${has} and not ${address}`,
        "Compare `networks` of the machine with `networkctl status` there, then run `make up`.",
      );
    }),
    inside("docker", ({ engine }) => {
      if (engine !== undefined) return passed(`Docker's engine ${engine} answers`);
      if (!wanted.docker) return skipped("no deployment needs it there");
      return failed(
        "Docker's engine does not answer",
        "See `systemctl status docker` there, or let `make up` install it (`engine: distribution`).",
      );
    }),
    inside("compose", ({ compose }) => {
      if (compose === undefined)
        return wanted.docker
          ? failed(
              "there is no `docker compose`",
              "Install Compose V2, or let `make up` do it (`engine: distribution`, or `docker`).",
            )
          : skipped("no deployment needs it there");
      return /^v?1\./.test(compose)
        ? failed(`it is ${compose}`, "Install Compose V2.")
        : passed(`Compose ${compose}`);
    }),
    inside("disk", ({ freeBytes }) => judgeDisk(freeBytes, wanted)),
    inside("network", ({ internet, store }) => {
      const seen = [...(internet ? ["the internet"] : []), ...(store ? ["the object store"] : [])];
      if (seen.length > 0) return passed(`it reaches ${seen.join(" and ")}`);
      if (!wanted.network) return skipped("it reaches neither, and need not");
      return failed(
        "it reaches neither the internet nor the object store",
        "Check its default route, and NAT on the hypervisor (`virsh net-info`); or set `images: build`, which needs neither.",
      );
    }),
  ];
}

function judgeDomain({ machine, domain }: Sighting): Omit<Check, "name"> {
  if (domain === undefined)
    return { status: "skipped", seen: `${machine} is no machine of this stack` };
  if ("problem" in domain)
    return {
      ...{ status: "failed", seen: domain.problem },
      next: "See that libvirt answers (`virsh list --all`), then run `make up`.",
    };
  if (domain.state === "running") return { status: "passed", seen: `${machine} is running` };
  return {
    ...{ status: "failed", seen: `${machine} is ${domain.state}` },
    next: `Start it with \`virsh start ${machine}\`; if that fails, see its serial log and \`journalctl -u libvirtd\`.`,
  };
}

function judgeDisk(
  freeBytes: Record<string, number>,
  { docker, minimumFreeBytes: minimum = docker ? 10e9 : 0.5e9 }: Wanted,
): Omit<Check, "name"> {
  const places = Object.entries(freeBytes);
  const short = places.find(([, bytes]) => bytes <= minimum);
  if (places.length === 0)
    return { status: "failed", seen: "df tells nothing", next: "Look at `df -h` there." };
  const seen = places.map(([place, bytes]) => `${gb(bytes)} free at ${place}`).join(", ");
  if (short === undefined) return { status: "passed", seen };
  return {
    ...{ status: "failed", seen: `${seen}; more than ${gb(minimum)} are needed` },
    next: `${docker ? "Run `docker system prune`" : "Remove what is not needed"} there, or give the machine's volume a larger sizeGiB, which grows it in place.`,
  };
}
