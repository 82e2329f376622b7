import { parse, stringify } from "yaml";
import { z } from "zod";
import { GroundworkError } from "../../errors.ts";

const named = <T extends z.ZodType>(key: string, value: T) =>
  z.array(z.looseObject({ name: z.string(), [key]: value })).min(1);

const k3sSchema = z.looseObject({
  clusters: named("cluster", z.looseObject({ server: z.string() })),
  users: named("user", z.looseObject({})),
});

/**
 * Makes the kubeconfig that k3s wrote on a server one for elsewhere: with the API's address, and with
 * cluster, user and context called after the cluster instead of `default`, so that it can stand
 * beside others.
 *
 * @throws GroundworkError `bad-kubeconfig`
 */
export function renderKubeconfig(text: string, cluster: string, apiAddress: string): string {
  const parsed = k3sSchema.safeParse(parse(text));
  if (!parsed.success)
    throw new GroundworkError({
      code: "bad-kubeconfig",
      message: `The kubeconfig that k3s wrote for cluster "${cluster}" is not what it should be: ${z.prettifyError(parsed.error)}.`,
      next: "See /etc/rancher/k3s/k3s.yaml on a server.",
    });
  const { clusters, users } = parsed.data;
  const { server, ...rest } = clusters[0]?.["cluster"] as { server: string };
  const { port } = new URL(server);
  return stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        {
          name: cluster,
          cluster: { ...rest, server: `https://${apiAddress}:${port === "" ? "6443" : port}` },
        },
      ],
      users: [{ name: cluster, user: users[0]?.["user"] }],
      contexts: [{ name: cluster, context: { cluster, user: cluster } }],
      "current-context": cluster,
    },
    { lineWidth: 0 },
  );
}
