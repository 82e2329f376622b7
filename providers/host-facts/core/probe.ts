import { quote, quoteAll } from "../../host/core/script.ts";
import { guestRan, renderBootSector } from "./boot-sector.ts";
import { firmwareFiles } from "./firmware.ts";

/** What one look at a host found. */
export interface HostProbe {
  /** What `virsh version` printed, and whether libvirt answered. */
  libvirt: { answers: boolean; output: string };
  /** Path of the QEMU binary for x86-64 guests, when there is one. */
  emulator?: string;
  /** Whether a guest really ran under KVM; `undefined` when that was not asked. */
  kvm?: { works: boolean; output: string };
  /** Which of `firmwareFiles` can be read. */
  files: ReadonlySet<string>;
  cpus: number;
  memoryMiB: number;
  /** What the kernel could give to new programs at the time of the look. */
  memoryAvailableMiB: number;
}

/** Ends every section of the report; no tool prints it. */
const mark = "=== groundwork:";

/** The script that looks at a host: one round trip, nothing changed. `uri` is the host's own. */
export function renderProbe(uri: string, options: { kvm: boolean }): string {
  return [
    // Sections come as "=== groundwork:<name> <exit code>" after their output.
    `report() { local name=$1 status; shift; "$@" 2>&1; status=$?; echo; echo "${mark}$name $status"; return "$status"; }`,
    `libvirt() { timeout 20 virsh -c ${quote(uri)} version --daemon </dev/null; }`,
    "emulator() { command -v qemu-system-x86_64 || ls /usr/libexec/qemu-kvm; }",
    "kvm() {",
    "  [ -e /dev/kvm ] || { echo '/dev/kvm is missing'; return 1; }",
    "  [ -w /dev/kvm ] || { echo '/dev/kvm cannot be written by this user'; return 1; }",
    "  ulimit -c 0; local sector status; sector=$(mktemp) || return 1",
    `  printf ${quote(renderBootSector())} >"$sector"`,
    `  timeout -k 1 10 "$(emulator)" -accel kvm -cpu host -M pc -m 16 -nodefaults -display none \\`,
    `    -device isa-debug-exit,iobase=0xf4,iosize=0x04 -drive "format=raw,file=$sector" </dev/null >"$sector.log" 2>&1 &`,
    // QEMU 7 stops there and waits for somebody to look.
    `  while kill -0 $!; do ! grep -q 'KVM internal error' "$sector.log" || kill $!; sleep 0.05; done 2>/dev/null`,
    '  wait $!; status=$?; cat "$sector.log"; rm -f "$sector" "$sector.log"; return "$status"',
    "}",
    `files() { local file; for file in ${quoteAll(firmwareFiles)}; do [ ! -r "$file" ] || echo "$file"; done; }`,
    "size() { nproc --all; grep -E '^Mem(Total|Available):' /proc/meminfo; }",
    // Without libvirt no guest can run, whatever the machine could do.
    options.kvm ? "if report libvirt libvirt; then report kvm kvm; fi" : "report libvirt libvirt",
    "report emulator emulator 2>/dev/null",
    "report files files",
    "report size size",
  ].join("\n");
}

/** Reads what the script of `renderProbe` printed. */
export function parseProbe(report: string): HostProbe {
  const sections = new Map<string, { status: number; output: string }>();
  let lines: string[] = [];
  for (const line of report.split("\n")) {
    if (!line.startsWith(mark)) {
      lines.push(line);
      continue;
    }
    const [name = "", status] = line.slice(mark.length).split(" ");
    sections.set(name, { status: Number(status), output: lines.join("\n").trim() });
    lines = [];
  }
  const output = (name: string): string => sections.get(name)?.output ?? "";
  const emulator = output("emulator");
  const kvm = sections.get("kvm");
  return {
    libvirt: { answers: sections.get("libvirt")?.status === 0, output: output("libvirt") },
    ...(emulator.startsWith("/") && { emulator }),
    ...(kvm && { kvm: { works: kvm.status === guestRan, output: explainKvm(kvm) } }),
    files: new Set(
      output("files")
        .split("\n")
        .filter((file) => file !== ""),
    ),
    cpus: Number(/^(\d+)$/m.exec(output("size"))?.[1] ?? 0),
    memoryMiB: mebibytes(output("size"), "MemTotal"),
    memoryAvailableMiB: mebibytes(output("size"), "MemAvailable"),
  };
}

function mebibytes(text: string, key: string): number {
  const kibibytes = new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(text)?.[1];
  return Math.floor(Number(kibibytes ?? 0) / 1024);
}

/** The line that says why no guest ran. */
function explainKvm({ status, output }: { status: number; output: string }): string {
  const lines = output.split("\n").filter((line) => line !== "" && !line.includes("warning:"));
  const telling = lines.find((line) => /error|cannot|could not|missing|denied/i.test(line));
  const line = telling ?? lines[0];
  if (status === 124 || status === 137)
    return line === undefined ? "a test guest did not finish within 10 s" : line.trim();
  return line?.trim() ?? `QEMU ended with status ${String(status)}`;
}

/** The version in a line of `virsh version`, such as `Running hypervisor: QEMU 7.2.19`. */
export function parseVersion(output: string, what: "libvirt" | "qemu"): string | undefined {
  const lines =
    what === "qemu"
      ? ["Running hypervisor: QEMU"]
      : ["Running against daemon:", "Using library: libvirt"];
  for (const start of lines) {
    const line = output.split("\n").find((candidate) => candidate.startsWith(start));
    const version = line?.slice(start.length).trim();
    if (version !== undefined && version !== "") return version;
  }
  return undefined;
}
