import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { parseAllDocuments } from "yaml";
import {
  type Access,
  parseToken,
  renderGrant,
  renderRevoke,
} from "../../../../providers/k3s-cluster/core/access.ts";

function bindingOf(access: Access): unknown {
  const text = /<<'END'\n([^]*?)END\n/.exec(renderGrant(access, 600))?.[1] ?? "";
  return parseAllDocuments(text).at(-1)?.toJS();
}

describe("renderGrant", () => {
  const subject = (name: string): object => ({
    ...{ kind: "ServiceAccount", name, namespace: "groundwork-access" },
  });

  it("binds an account to Kubernetes' own role, in one namespace or in all", () => {
    const api = "rbac.authorization.k8s.io";
    const common = { apiVersion: `${api}/v1` };
    assert.deepEqual(bindingOf({ role: "view" }), {
      ...{ ...common, kind: "ClusterRoleBinding", metadata: { name: "groundwork-view" } },
      roleRef: { apiGroup: api, kind: "ClusterRole", name: "view" },
      subjects: [subject("view")],
    });
    assert.deepEqual(bindingOf({ role: "edit", namespace: "web" }), {
      ...{ ...common, kind: "RoleBinding" },
      metadata: { name: "groundwork-edit-web", namespace: "web" },
      roleRef: { apiGroup: api, kind: "ClusterRole", name: "edit" },
      subjects: [subject("edit-web")],
    });
  });

  it("is valid bash, as is what takes it back", () => {
    for (const access of [{ role: "view" }, { role: "admin", namespace: "web" }] as const)
      for (const script of [renderGrant(access, 600), renderRevoke(access)])
        execFileSync("bash", ["-n"], { input: script });
  });
});

describe("parseToken", () => {
  const jwt = (payload: object): string =>
    `head.${Buffer.from(JSON.stringify(payload)).toString("base64url")}.signature`;

  it("reads when it ends", () => {
    const token = jwt({ exp: 1767225600 });
    assert.deepEqual(parseToken(`${token}\n`), { token, expires: 1767225600 });
  });

  it("refuses what is none, without showing it", () => {
    for (const text of ["", "a.b", "a.bm90anNvbg.c", jwt({}), "error: secret"])
      assert.throws(() => parseToken(text), { code: "bad-token", message: /^(?!.*secret)/ });
  });
});
