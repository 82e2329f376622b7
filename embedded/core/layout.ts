import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import type { EmbeddedOptions } from "./types.ts";

/** Every path that the embedded parts use; nothing else composes one. */
export interface Layout {
  root: string;
  facts: string;
  credentials: string;
  logs: string;
  libvirt: { etc: string; lib: string; cache: string; log: string };
  volumeFile: string;
  objectStore: { data: string; certificates: string };
  /** Socket folder, short because a socket's path has at most 107 bytes. */
  run: string;
  /** Holds the home that this name belongs to. */
  owner: string;
  namespace: string;
  socket: string;
  uri: string;
}

export const runFolder = "/run/groundwork";
export const namespaceFolder = "/run/netns";

export function layoutOf(options: Pick<EmbeddedOptions, "home" | "name">): Layout {
  const root = join(options.home, "embedded");
  const run = join(runFolder, options.name);
  const socket = join(run, "libvirt-sock");
  const libvirt = (folder: string): string => join(root, "libvirt", folder);
  return {
    root,
    facts: join(root, "facts.json"),
    credentials: join(root, "object-store.json"),
    logs: join(root, "log"),
    libvirt: {
      etc: libvirt("etc"),
      lib: libvirt("lib"),
      cache: libvirt("cache"),
      log: libvirt("log"),
    },
    volumeFile: join(root, "volumes.img"),
    objectStore: { data: join(root, "minio"), certificates: join(root, "minio-certificates") },
    run,
    owner: join(run, "owner"),
    namespace: join(namespaceFolder, options.name),
    socket,
    uri: `qemu+unix:///system?socket=${socket}`,
  };
}

/** The owner's file beside the socket of a URI that was written down; its name may not be that of the options. */
export function ownerFileOf(uri: string): string {
  return join(dirname(new URL(uri).searchParams.get("socket") ?? ""), "owner");
}

/**
 * Our mark in a daemon's environment, by which it is found again without a pid file that could be
 * stale: the home's digest, so that two checkouts do not take each other's.
 */
export const markVariable = "GROUNDWORK_EMBEDDED";

export function markOf(options: Pick<EmbeddedOptions, "home">, daemon: string): string {
  return `${createHash("sha256").update(options.home).digest("hex").slice(0, 24)}:${daemon}`;
}
