import type { HypervisorObserved, Machine } from "./observed.ts";
import type { EmbeddedOptions, EmbeddedPlan, EmbeddedStep, Refusal } from "./types.ts";

/** The network of libvirt that is there from the start, 192.168.122.0/24 on virbr0. */
export const defaultNetwork = "default";

/** Whether the hypervisor is one that we started, wholly or in part. */
export function hypervisorIsOurs(machine: Machine, seen: HypervisorObserved): boolean {
  return (
    seen.folders !== "absent" ||
    seen.processes.length > 0 ||
    machine.facts?.hypervisor.kind === "embedded"
  );
}

function refuse(code: string, message: string, next: string): EmbeddedPlan {
  return { steps: [], refusals: [{ code, message, next }] };
}

/** Why a name cannot be had that belongs to another home. */
export function nameTaken(name: string, owner: string): Refusal {
  return {
    code: "embedded-name-taken",
    message: `The name "${name}" of the embedded hypervisor belongs to ${owner}.`,
    next: `Set another groundwork:embedded name in this stack's configuration, or run \`make down\` over there (\`GROUNDWORK_HOME=${owner} make down\` if that checkout is gone).`,
  };
}

/** What brings a hypervisor about: nothing where the machine's own libvirt answers. */
export function planHypervisor(
  options: EmbeddedOptions,
  machine: Machine,
  seen: HypervisorObserved,
): EmbeddedPlan {
  const nothing: EmbeddedPlan = { steps: [], refusals: [] };
  if (!hypervisorIsOurs(machine, seen)) {
    if (seen.system.state === "answers") return nothing;
    if (seen.system.state === "unclear")
      return refuse(
        "system-hypervisor-unclear",
        `Cannot tell whether this machine's libvirt (qemu:///system) can be used: ${seen.system.reason}.`,
        "Make `virsh -c qemu:///system uri` work, or stop and disable that libvirt so that one of our own is started.",
      );
    if (machine.facts?.hypervisor.kind === "system")
      return refuse(
        "system-hypervisor-gone",
        "The machines of this stack are on this machine's own libvirt (qemu:///system), which does not answer any more.",
        "Start it (`systemctl start libvirtd`), or run `make down` to give up what is there.",
      );
  }
  if (seen.otherOwner !== undefined)
    return { steps: [], refusals: [nameTaken(options.name, seen.otherOwner)] };
  if (seen.otherName !== undefined)
    return refuse(
      "embedded-name-differs",
      `The embedded hypervisor of this checkout runs under the name "${seen.otherName}", and this stack names it "${options.name}".`,
      `Set groundwork:embedded name to "${seen.otherName}", or run \`make down\` for the stacks that use it first.`,
    );
  if (seen.namespace.state === "present" && !seen.owned && seen.folders === "absent")
    return refuse(
      "network-namespace-taken",
      `There is a network namespace "${options.name}" already, and it is not ours.`,
      "Set another groundwork:embedded name, or remove it with `ip netns del`.",
    );
  return { steps: hypervisorSteps(seen), refusals: [] };
}

function hypervisorSteps(seen: HypervisorObserved): EmbeddedStep[] {
  const part = "hypervisor";
  const steps: EmbeddedStep[] = [];
  const { namespace } = seen;
  const ended =
    seen.folders === "absent"
      ? seen.processes
      : seen.processes.filter(
          (process) => namespace.state === "present" && process.namespace !== namespace.inode,
        );
  if (ended.length > 0)
    steps.push({
      part,
      do: "endProcesses",
      processes: ended,
      why:
        seen.folders === "absent"
          ? "their folder was removed"
          : "their network namespace was removed",
    });
  const alive = seen.processes.filter((process) => !ended.includes(process));

  if (seen.folders !== "ready" || !seen.owned) steps.push({ part, do: "prepareLibvirt" });
  const [survivor] = alive;
  if (namespace.state !== "present")
    steps.push(
      survivor === undefined
        ? { part, do: "makeNamespace" }
        : { part, do: "adoptNamespace", pid: survivor.pid },
    );
  for (const daemon of ["virtlogd", "libvirtd"] as const)
    if (!alive.some((process) => process.daemon === daemon))
      steps.push({ part, do: "startDaemon", daemon });
  if (seen.activeNetworks === undefined || ended.length > 0)
    steps.push({ part, do: "awaitLibvirt" });
  else if (steps.length === 0 && !seen.activeNetworks.includes(defaultNetwork))
    steps.push({ part, do: "startNetwork" });
  return steps;
}
