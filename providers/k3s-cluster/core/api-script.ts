import { quoteAll } from "../../host/core/script.ts";
import { type ApiSighting, parseNodes } from "./observed.ts";

const kubeconfigFile = "/etc/rancher/k3s/k3s.yaml";
const mark = "groundwork-api ";

/**
 * Looks at the API of the server it runs on, once a second or once in all, and prints a line for each
 * look. curl with the administrator's certificate, for kubectl takes an emulated processor seconds.
 */
export function renderApiWatch(options: { once: boolean; coreDns: boolean }): string {
  return [
    `config=${kubeconfigFile}`,
    "dir=$(mktemp -d) || exit 1",
    `trap 'rm -rf "$dir"' EXIT`,
    `command -v curl >/dev/null || { echo 'curl is not in this machine, and the API is asked with it' >&2; exit 1; }`,
    `value() { sed -n "s/^ *$1: *//p" "$config" | head -n 1 | base64 -d >"$dir/$1"; }`,
    `api() { curl --silent --user-agent groundwork --max-time 25 --cacert "$dir/certificate-authority-data" --cert "$dir/client-certificate-data" --key "$dir/client-key-data" "https://127.0.0.1:6443$1" 2>/dev/null | tr -d '\\n'; }`,
    "look() {",
    `  if [ ! -s "$config" ]; then echo '${mark}silent k3s has not written its kubeconfig yet'; return; fi`,
    `  if [ ! -e "$dir/client-key-data" ] || [ "$config" -nt "$dir/client-key-data" ]; then`,
    "    for each in certificate-authority-data client-certificate-data client-key-data; do value $each; done",
    "  fi",
    `  ready=$(api /readyz)`,
    `  if [ "$ready" != ok ]; then failing=$(grep -o '\\[-\\][^[]*' <<<"$ready" | tr '\\n' ' '); echo "${mark}silent /readyz says \${failing:-\${ready:-nothing}}" | cut -c 1-300; return; fi`,
    options.coreDns
      ? `  dns=$(api /apis/apps/v1/namespaces/kube-system/deployments/coredns | sed -n 's/.*"availableReplicas": *\\([0-9]*\\).*/\\1/p')`
      : "  dns=0",
    `  printf '${mark}answers %s %s\\n' "\${dns:-0}" "$(api /api/v1/nodes)"`,
    "}",
    options.once ? "look" : "while :; do look; sleep 1; done",
  ].join("\n");
}

/** Reads a line of the watch; undefined for anything else. */
export function parseApiLine(line: string): ApiSighting | undefined {
  if (!line.startsWith(mark)) return undefined;
  const [word = "", ...rest] = line.slice(mark.length).split(" ");
  if (word === "silent") return { kind: "silent", detail: rest.join(" ") };
  const [dns = "", ...json] = rest;
  const nodes = parseNodes(json.join(" "));
  if (word !== "answers") return undefined;
  return nodes === undefined
    ? { kind: "silent", detail: "its list of nodes cannot be read" }
    : { kind: "answers", nodes, coreDns: Number(dns) };
}

/** Runs kubectl on a server with each of these argument lists, and stops at the first that fails. */
export function renderKubectl(commands: readonly (readonly string[])[]): string {
  const kubectl = `/usr/local/bin/k3s kubectl --kubeconfig ${kubeconfigFile}`;
  return ["set -e", ...commands.map((words) => `${kubectl} ${quoteAll(words)}`)].join("\n");
}

/** Prints the kubeconfig that k3s wrote. */
export const readKubeconfigScript = `cat ${kubeconfigFile}`;
