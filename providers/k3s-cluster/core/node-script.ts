import { quote } from "../../host/core/script.ts";
import type { NodeArguments } from "./arguments.ts";
import type { ArtifactOrder } from "./artifacts.ts";
import { networkWaitPath, networkWaitSeconds } from "./network-wait.ts";
import { type NodeFile, tokenFile, unitOf } from "./node-files.ts";
import { nodeLibrary } from "./node-library.ts";

/** Starts the lines that tell the user something. */
export const sayMark = "groundwork-say ";
/** Starts the line with what became of a node. */
export const resultMark = "groundwork-result ";

/** In single quotes, but for the two names that the machine fills in. */
function expanding(text: string): string {
  return quote(text).replaceAll(/\$(suffix|arch)/g, `'"$$$1"'`);
}

function renderArtifact(order: ArtifactOrder, node: NodeArguments): string {
  const { source, digest } = order;
  const common = [order.name, order.title, order.target, order.mode, order.want].map(quote);
  const expected =
    digest.kind === "pinned"
      ? ["pinned", quote(digest.sha256), "''"]
      : ["listed", expanding(digest.url), expanding(digest.file)];
  if (source.kind === "path")
    return ["from_image", quote(source.path), ...common, ...expected].join(" ");
  const wait = [networkWaitPath, node.address, String(networkWaitSeconds)].map(quote);
  return [
    `network=(${[...wait, node.hasRoute ? "yes" : "no", quote(source.host)].join(" ")})`,
    ["from_url", expanding(source.url), ...common, ...expected].join(" "),
  ].join("\n");
}

/** Puts a file in place, or removes it; its text travels in the script, which is on standard input. */
export function renderFile({ path, mode, content }: NodeFile): string {
  if (content === undefined) return `drop ${quote(path)}`;
  const encoded = Buffer.from(content, "utf8").toString("base64");
  return `put ${quote(path)} ${mode} ${quote(encoded)}`;
}

/** What is done with a node. */
export interface NodeOrder {
  node: NodeArguments;
  files: readonly NodeFile[];
  artifacts: readonly ArtifactOrder[];
  /** Its certificates are made anew where they are of another one. Default: 0, that of a new node. */
  certificateGeneration?: number | undefined;
  /** A snapshot in the object store: a server without data begins with its content. */
  restoreFrom?: string | undefined;
  /** Whether a node on which another binary was put last is left alone. */
  keepsBinary?: boolean | undefined;
}

/** The script that has a new node get its binary, while it is not known yet how the node joins. */
export function renderFetch({ node, artifacts }: Pick<NodeOrder, "node" | "artifacts">): string {
  return [nodeLibrary, ...artifacts.map((each) => renderArtifact(each, node))].join("\n");
}

const unlessMarked = ({ name, target, want }: ArtifactOrder): string =>
  `is_marked ${[name, target, want].map(quote).join(" ")} || { echo '${resultMark}same'; exit 0; }`;

/**
 * The script that makes a node what it shall be: files, binary, unit, running. What is right already
 * stays as it is; k3s is restarted only for a change, and nobody waits for it here.
 */
export function renderApply(order: NodeOrder): string {
  const { node, files, artifacts, restoreFrom, keepsBinary, certificateGeneration = 0 } = order;
  return [
    nodeLibrary,
    ...(keepsBinary === true ? artifacts.map(unlessMarked) : []),
    ...files.map(renderFile),
    ...artifacts.map((each) => renderArtifact(each, node)),
    restoreFrom === undefined ? "discard_restoring" : `restore_once ${quote(restoreFrom)}`,
    `renew_certificates ${unitOf(node.role)} ${String(certificateGeneration)}`,
    `run_unit ${unitOf(node.role)}`,
  ].join("\n");
}

/** What a node has, before it is touched. */
export interface NodeProbe {
  /** A server's datastore, whole on its disk. */
  data: "none" | "sqlite" | "etcd";
  /** It was a member of a cluster of ours since its disk was made. */
  joined: boolean;
  active: boolean;
  /** SHA-256 of the file with its token; `-` where it has none, or is still to start with it. */
  token: string;
  /** Of which generation its certificates are. */
  certificates: number;
  /** The server in its configuration; empty where it has none. */
  server: string;
}

export const probeMark = "groundwork-probe ";

/** The script whose output `parseProbe` reads. */
export function renderProbe(role: NodeArguments["role"]): string {
  return [
    "data=none joined=no active=no",
    // The folder may hold no more than snapshots, and what a restoration was to write may be half of it.
    "db=/var/lib/rancher/k3s/server/db",
    "[ ! -e $db/state.db ] || data=sqlite",
    "[ ! -e $db/etcd/member ] || data=etcd",
    "[ ! -e /var/lib/groundwork/k3s/restoring ] || data=none",
    "[ ! -e /var/lib/groundwork/k3s/joined ] || joined=yes",
    `case $(systemctl is-active ${unitOf(role)}) in active | activating | reloading) active=yes ;; esac`,
    `token=-; [ ! -s ${tokenFile} ] || [ -e /var/lib/groundwork/k3s/restart ] || token=$(sha256sum ${tokenFile} | cut -d ' ' -f 1)`,
    "certificates=$(tr -cd 0-9 </var/lib/groundwork/k3s/certificates 2>/dev/null)",
    `server=$(sed -n 's/^server: *"\\{0,1\\}\\([^"]*\\).*/\\1/p' /etc/rancher/k3s/config.yaml 2>/dev/null | head -n 1)`,
    `printf '${probeMark}%s %s %s %s %s %s\\n' "$data" "$joined" "$active" "$token" "\${certificates:-0}" "$server"`,
  ].join("\n");
}

/** Reads what `renderProbe` printed; undefined for anything else. */
export function parseProbe(output: string): NodeProbe | undefined {
  const line = output.split("\n").find((each) => each.startsWith(probeMark));
  if (line === undefined) return undefined;
  const [data, joined, active, token = "", certificates, server = ""] = line
    .slice(probeMark.length)
    .split(" ");
  if (data !== "none" && data !== "sqlite" && data !== "etcd") return undefined;
  if (certificates === undefined || !/^\d+$/.test(certificates)) return undefined;
  return {
    ...{ data, joined: joined === "yes", active: active === "yes", token },
    ...{ certificates: Number(certificates), server },
  };
}

/** Reads what `renderApply` printed: whether k3s was started or started anew. */
export function parseApplied(output: string): "started" | "restarted" | "same" | undefined {
  const line = output.split("\n").find((each) => each.startsWith(resultMark));
  const word = line?.slice(resultMark.length);
  return word === "started" || word === "restarted" || word === "same" ? word : undefined;
}

/** What tells why a node does not come: the ends of cloud-init's log and of k3s's journal. */
export function renderDiagnosis(role: NodeArguments["role"]): string {
  return [
    `echo "state of ${unitOf(role)}: $(systemctl is-active ${unitOf(role)})"`,
    "echo 'cloud-init-output.log:'",
    "tail -n 6 /var/log/cloud-init-output.log 2>&1 | cut -c 1-200",
    `echo 'journal of ${unitOf(role)}:'`,
    `journalctl -u ${unitOf(role)} -n 15 --no-pager -o cat 2>&1 | cut -c 1-300`,
  ].join("\n");
}
