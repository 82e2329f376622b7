import { stringify } from "yaml";
import { quote } from "../../host/core/script.ts";
import type { SnapshotStore } from "./arguments.ts";

/** k3s reads it after config.yaml, whether it runs as a server, saves or restores. */
export const snapshotStoreFile = "/etc/rancher/k3s/config.yaml.d/etcd-s3.yaml";

/** Where a server copies its snapshots to, and by what right. */
export function renderSnapshotStore(
  store: SnapshotStore,
  credentials: { accessKey: string; secretKey: string },
): string {
  const { protocol, host } = new URL(store.endpoint);
  const settings = {
    "etcd-s3": true,
    "etcd-s3-endpoint": host,
    ...(protocol === "http:" && { "etcd-s3-insecure": true }),
    "etcd-s3-region": store.region,
    "etcd-s3-bucket": store.bucket,
    "etcd-s3-folder": store.folder,
    "etcd-s3-access-key": credentials.accessKey,
    "etcd-s3-secret-key": credentials.secretKey,
  };
  return `# Written by Groundwork; changes made here are lost.\n${stringify(settings, { lineWidth: 0, defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "PLAIN" })}`;
}

/** Saves etcd on a server, under a name; also into the object store where one is configured. */
export function renderSnapshot(name: string): string {
  return `exec /usr/local/bin/k3s etcd-snapshot save --name ${quote(name)}`;
}

/** Copies a server's SQLite, under a name, while k3s stands still. */
export function renderSqliteCopy(name: string): string {
  const folder = "/var/lib/groundwork/k3s/snapshots";
  return [
    "set -e",
    `mkdir -p -m 0700 ${folder}`,
    "trap 'systemctl start --no-block k3s' EXIT",
    "systemctl stop k3s",
    `umask 077`,
    `tar -C /var/lib/rancher/k3s/server -czf ${folder}/${quote(`${name}.part`)} --exclude=snapshots .`,
    `mv ${folder}/${quote(`${name}.part`)} ${folder}/${quote(`${name}.tar.gz`)}`,
  ].join("\n");
}
