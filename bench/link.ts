import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as net from "node:net";
import * as path from "node:path";
import * as provider from "../providers/image-volume/provider.ts";
import { endTree, tied, undoAtExit } from "../test/support/scratch.ts";
import { bash, type BenchImage, type BenchLab, flush, timed } from "./lab.ts";

const provided = path.resolve(import.meta.dirname, "../providers/image-volume/provider.ts");
const program = path.resolve(import.meta.dirname, "../test/support/create-volume.ts");

/** A network namespace behind a link of 100 Mbit/s, in which the object store has another address. */
async function openLink(storePort: number) {
  const id = randomBytes(3).toString("hex");
  const [space, outside, inside] = [`gwbench${id}`, `gwo${id}`, `gwi${id}`];
  // Of the addresses kept for benchmarks (RFC 2544); a pair per run.
  const [second, third] = [18 + ((randomBytes(1)[0] ?? 0) % 2), randomBytes(1)[0] ?? 0];
  const [here, there] = [1, 2].map(
    (last) => `198.${String(second)}.${String(third)}.${String(last)}`,
  );
  const close = undoAtExit(() => {
    forwarder.close();
    bash(
      `ip link del "$1" 2>/dev/null || true; ip netns del "$2" 2>/dev/null || true`,
      outside,
      space,
    );
  });
  const forwarder = net.createServer((socket) => {
    const store = net.connect(storePort, "127.0.0.1");
    for (const [from, to] of [
      [socket, store],
      [store, socket],
    ] as const) {
      from.pipe(to);
      from.on("error", () => to.destroy());
    }
  });
  bash(
    `ip netns add "$1"; ip link add "$2" type veth peer name "$3" netns "$1"
     ip address add "$4/30" dev "$2"; ip link set "$2" up
     ip -n "$1" address add "$5/30" dev "$3"; ip -n "$1" link set "$3" up; ip -n "$1" link set lo up
     tc qdisc add dev "$2" root tbf rate 100mbit burst 64kb latency 50ms`,
    ...[space, outside, inside, here ?? "", there ?? ""],
  );
  await new Promise<void>((resolve, reject) => {
    forwarder.once("error", reject).listen(0, here, resolve);
  });
  const { port } = forwarder.address() as net.AddressInfo;
  return { space, endpoint: `http://${here ?? ""}:${String(port)}`, close };
}

/** Seconds over a slow link: for the bytes alone, and for a volume, nothing cached. */
export async function measureLink(
  bench: BenchLab,
  image: BenchImage,
  note: (name: "link" | "linkCold", seconds: number) => void,
): Promise<void> {
  const link = await openLink(bench.lab.minio.port);
  try {
    const url = (await bench.url(image)).replace(bench.lab.minio.endpoint, link.endpoint);
    // The signature covers the host's name, so the request must still name the store's own.
    const host = new URL(bench.lab.minio.endpoint).host;
    note(
      "link",
      await inside(link.space, ["curl", "-sf", "-o", "/dev/null", "-H", `Host: ${host}`, url]),
    );
    // check asks the store from outside the namespace, at the address that both sides reach.
    const args = bench.args(image, link.endpoint);
    const inputs = await bench.lab.check(args);
    bench.forgetImages();
    flush();
    // What starting the program takes, and reading its modules, is not the provider's time.
    const node = [process.execPath, "--import=tsx"];
    const load = `await import(${JSON.stringify(provided)})`;
    const startUp = await inside(link.space, [...node, "--input-type=module", "--eval", load]);
    const all = await inside(link.space, [...node, program, JSON.stringify(inputs)]);
    note("linkCold", all - startUp);
    const { volumeGroup, volumeName } = inputs;
    await provider.delete(`${String(volumeGroup)}/${String(volumeName)}`, inputs);
  } finally {
    link.close();
  }
}

/** Runs a program in the namespace and returns the seconds it took. */
async function inside(space: string, command: readonly string[]): Promise<number> {
  const [file, words] = tied("nsenter", [`--net=/run/netns/${space}`, "--", ...command]);
  const child = spawn(file, words, { stdio: ["ignore", "ignore", "inherit"] });
  const stop = undoAtExit(() => {
    endTree(child.pid);
  });
  return timed(async () => {
    const status = await new Promise((resolve) => child.once("exit", resolve));
    stop();
    if (status !== 0) throw new Error(`${command[0] ?? ""} ended with ${String(status)}`);
  });
}

/** Whether this machine can shape a link: a namespace, veth and tbf. */
export function canShapeLinks(): boolean {
  const id = `gwt${randomBytes(3).toString("hex")}`;
  try {
    execFileSync(
      "unshare",
      [
        "--net",
        "sh",
        "-c",
        `ip link add ${id} type veth peer name ${id}p && tc qdisc add dev ${id} root tbf rate 100mbit burst 64kb latency 50ms`,
      ],
      { stdio: "ignore" },
    );
    return true;
  } catch {
    return false;
  }
}
