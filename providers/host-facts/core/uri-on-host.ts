import type { HostConnection } from "../../host/core/connection.ts";

/** The URI by which a hypervisor's own machine reaches its libvirt. */
export function uriOnHost(connection: HostConnection): string {
  return connection.kind === "local" ? connection.uri : "qemu:///system";
}
