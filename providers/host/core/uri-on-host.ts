import type { HostConnection } from "./connection.ts";

/** The URI by which a hypervisor's own machine reaches its libvirt. */
export function uriOnHost({ kind, uri }: HostConnection): string {
  if (kind === "local") return uri;
  const socket = new URL(uri).searchParams.get("socket");
  return socket === null ? "qemu:///system" : `qemu+unix:///system?socket=${socket}`;
}
