import type { HostConnection } from "../../host/core/connection.ts";

/** The URI by which a hypervisor's own machine reaches its libvirt. */
export function uriOnHost(connection: HostConnection): string {
  if (connection.kind === "local") return connection.uri;
  return `qemu://${new URL(connection.uri).pathname}`;
}
