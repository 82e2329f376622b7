import * as fs from "node:fs";

/** The folder where control groups of the second version are; systemd keeps its units' apart there. */
export function cgroupFolder(): string {
  const mounts = fs.readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const found = mounts.find((line) => line.includes(" - cgroup2 "))?.split(" ")[4];
  if (found === undefined) throw new Error("no cgroup2 is mounted");
  return found;
}
