import { createHash } from "node:crypto";
import type { ClusterArguments, NodeArguments } from "./arguments.ts";
import { listTokenFiles, tokenFile } from "./node-files.ts";
import { renderFile } from "./node-script.ts";
import { nodeLibrary } from "./node-library.ts";

/** What the probe of a node says of the file with its token, once that holds the token wished for. */
export function tokenDigest(
  args: Pick<ClusterArguments, "token" | "agentToken">,
  role: NodeArguments["role"],
): string {
  const [own] = listTokenFiles(args, role);
  return createHash("sha256")
    .update(own?.content ?? "")
    .digest("hex");
}

/** Where servers keep tokens that were the cluster's; each file's time is when it ceased to be. */
export const oldTokens = "/var/lib/groundwork/k3s/tokens";

/** Bash: rotates the server token of the cluster, by the server that it runs on; see `renderRotateToken`. */
export const rotateFunction = String.raw`rotate_token() {
  local data=/var/lib/rancher/k3s/server old answer status
  old=$(sed 's/^K10[0-9a-f]*::server://' "$data/token")
  answer=$(mktemp)
  status=$(
    printf 'user = "server:%s"\ndata = "{\\"newToken\\":\\"%s\\"}"\n' "$old" "$1" |
      curl --silent --show-error --max-time 120 --request PUT --config - \
        --cacert "$data/tls/server-ca.crt" --output "$answer" --write-out '%{http_code}' \
        https://127.0.0.1:6443/v1-k3s/token
  ) || true
  if [ "$status" != 200 ]; then
    echo "k3s did not take the new token (HTTP $status): $(tail -c 300 "$answer")" >&2
    rm -f "$answer"
    return 1
  fi
  rm -f "$answer"
  sleep 1 # as k3s token rotate does, for etcd to tell its members
}`;

/**
 * Has a server encrypt the cluster's own secrets with another server token. It is what `k3s token
 * rotate` asks of the server; that command takes the new token as an argument only, which every user
 * of the machine could read. Asked a second time, or of a second server, k3s changes nothing, and it
 * refuses where the datastore has another token than the old or the new one.
 */
export function renderRotateToken(token: string): string {
  const encoded = Buffer.from(token, "utf8").toString("base64");
  return `set -euo pipefail\n${rotateFunction}\nrotate_token "$(base64 -d <<<'${encoded}')"`;
}

/**
 * Puts a server's new tokens in place without a restart: with the old ones it could not start again
 * by itself. The mark has the next `renderApply` restart it.
 */
export function renderTokenFiles(
  args: Pick<ClusterArguments, "token" | "agentToken">,
  role: NodeArguments["role"],
): string {
  return [
    nodeLibrary,
    `keep_token ${tokenFile} ${oldTokens} ${tokenDigest(args, role)}`,
    ...listTokenFiles(args, role).map(renderFile),
    `[ "$changed" = no ] || touch "$own/restart"`,
  ].join("\n");
}
