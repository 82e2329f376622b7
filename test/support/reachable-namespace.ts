import { execFileSync, spawnSync } from "node:child_process";

/**
 * Makes a network namespace that this machine reaches by one link. Needs ["root", "netns"].
 * @returns its address, and what removes it
 */
export function makeReachableNamespace(
  name: string,
  index: number,
): { address: string; remove: () => void } {
  const { outside, inside } = subnetOf(process.pid, index);
  const link = `gwd${String(process.pid)}-${String(index)}`;
  const remove = (): void => {
    spawnSync("ip", ["netns", "del", name], { stdio: "ignore" });
    spawnSync("ip", ["link", "del", link], { stdio: "ignore" });
  };
  try {
    for (const args of [
      ["netns", "add", name],
      ["link", "add", link, "type", "veth", "peer", "name", "outside", "netns", name],
      ["address", "add", `${outside}/30`, "dev", link],
      ["link", "set", link, "up"],
      ["-n", name, "address", "add", `${inside}/30`, "dev", "outside"],
      ["-n", name, "link", "set", "outside", "up"],
      ["-n", name, "link", "set", "lo", "up"],
    ])
      execFileSync("ip", args);
  } catch (error) {
    remove();
    throw error;
  }
  return { address: inside, remove };
}

/** Four addresses of the range for carriers, which no lab and no engine uses, by process and index. */
function subnetOf(pid: number, index: number): { outside: string; inside: string } {
  const base = (((pid % 2 ** 18) * 4 + (index % 4)) % 2 ** 20) * 4;
  const address = (at: number): string => {
    const host = base + at;
    return `100.${String(64 + (host >> 16))}.${String((host >> 8) & 255)}.${String(host & 255)}`;
  };
  return { outside: address(1), inside: address(2) };
}
