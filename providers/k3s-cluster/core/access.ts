import { stringify } from "yaml";
import { GroundworkError } from "../../errors.ts";
import { quote } from "../../host/core/script.ts";

/** Kubernetes' own roles for people; none of them reaches what belongs to the whole cluster. */
export const accessRoles = ["view", "edit", "admin"] as const;

/** What a kubeconfig for a while allows. */
export interface Access {
  role: (typeof accessRoles)[number];
  /** Default: all namespaces. */
  namespace?: string | undefined;
}

/** Apart from all others, so that nobody who may create pods in theirs can take these accounts. */
const home = "groundwork-access";
const kubectl = "/usr/local/bin/k3s kubectl --kubeconfig /etc/rancher/k3s/k3s.yaml";

/** The account's name, unique among roles and namespaces. */
export function accessName({ role, namespace }: Access): string {
  return namespace === undefined ? role : `${role}-${namespace}`;
}

const bindingName = (access: Access): string => `groundwork-${accessName(access)}`;

function manifests(access: Access): object[] {
  const { role, namespace } = access;
  const name = accessName(access);
  const api = "rbac.authorization.k8s.io";
  const binding = {
    apiVersion: `${api}/v1`,
    roleRef: { apiGroup: api, kind: "ClusterRole", name: role },
    subjects: [{ kind: "ServiceAccount", name, namespace: home }],
  };
  const bound = { name: bindingName(access) };
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: home } },
    {
      ...{ apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace: home } },
      automountServiceAccountToken: false,
    },
    namespace === undefined
      ? { ...binding, kind: "ClusterRoleBinding", metadata: bound }
      : { ...binding, kind: "RoleBinding", metadata: { ...bound, namespace } },
  ];
}

/**
 * Makes the account and prints a token for it, on a server. A token of a ServiceAccount, for it ends by
 * itself and, unlike a certificate, at once when the account is deleted.
 */
export function renderGrant(access: Access, seconds: number): string {
  const text = manifests(access)
    .map((manifest) => stringify(manifest, { lineWidth: 0 }))
    .join("---\n");
  return `set -euo pipefail
${kubectl} apply -f - >/dev/null <<'END'
${text}END
exec ${kubectl} --namespace ${home} create token ${quote(accessName(access))} --duration ${String(seconds)}s`;
}

/** Ends every token of an account, and takes its rights. */
export function renderRevoke(access: Access): string {
  const { namespace } = access;
  const binding =
    namespace === undefined
      ? "delete clusterrolebinding"
      : `--namespace ${quote(namespace)} delete rolebinding`;
  return `set -e
${kubectl} --namespace ${home} delete serviceaccount ${quote(accessName(access))} --ignore-not-found
exec ${kubectl} ${binding} ${quote(bindingName(access))} --ignore-not-found`;
}

/**
 * Reads the token that `renderGrant` printed, and when it ends, in seconds since 1970.
 *
 * @throws GroundworkError `bad-token`
 */
export function parseToken(output: string): { token: string; expires: number } {
  const token = output.trim();
  const payload = token.split(".")[1] ?? "";
  try {
    const { exp } = JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as {
      exp?: unknown;
    };
    if (typeof exp === "number") return { token, expires: exp };
  } catch {
    // told below
  }
  throw new GroundworkError({
    code: "bad-token",
    message: "What the cluster gave for a token is none.",
    next: "See whether `k3s kubectl create token` works on a server (docs/k3s.md).",
  });
}
