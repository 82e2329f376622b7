import { isMap, isSeq, parse, parseDocument } from "yaml";
import { z } from "zod";
import { GroundworkError } from "../../providers/errors.ts";
import { quote } from "../../providers/host/core/script.ts";

/** Marks the contexts that this program wrote, so that it touches no other. */
const markName = "groundwork.dev";

const lists = ["clusters", "users", "contexts"] as const;

const inner = z.looseObject({});
const oneCluster = z.looseObject({
  clusters: z.tuple([z.looseObject({ name: z.string(), cluster: inner })]),
  users: z.tuple([z.looseObject({ name: z.string(), user: inner })]),
  contexts: z.tuple([z.looseObject({ name: z.string(), context: inner })]),
});

/** The kubeconfig of one cluster, as the stack's output has it. */
export type ClusterKubeconfig = z.infer<typeof oneCluster>;

/** Reads the kubeconfig of one cluster. */
export function parseClusterKubeconfig(text: string): ClusterKubeconfig {
  return oneCluster.parse(parse(text));
}

/** The same with another address of the API, such as the near end of a tunnel. */
export function withServer(kubeconfig: ClusterKubeconfig, server: string): ClusterKubeconfig {
  const [cluster] = kubeconfig.clusters;
  return {
    ...kubeconfig,
    clusters: [{ ...cluster, cluster: { ...cluster.cluster, server } }],
  };
}

/** The same for another user, by a token, under a name of its own; in a namespace where one is given. */
export function withToken(
  { clusters: [cluster], ...rest }: ClusterKubeconfig,
  { name, token, namespace }: { name: string; token: string; namespace?: string | undefined },
): ClusterKubeconfig {
  return {
    ...rest,
    clusters: [{ ...cluster, name }],
    users: [{ name, user: { token } }],
    contexts: [
      {
        name,
        context: { cluster: name, user: name, ...(namespace !== undefined && { namespace }) },
      },
    ],
    "current-context": name,
  };
}

/** Says in its context whose it is. */
function marked({ contexts: [context] }: ClusterKubeconfig, stack: string): object {
  const extensions = [{ name: markName, extension: { stack } }];
  return { ...context, context: { ...context.context, extensions } };
}

type Document = ReturnType<typeof parseDocument>;

function readDocument(text: string, file: string): Document {
  const document = parseDocument(text);
  if (document.toJS() === null) document.contents = null; // a comment, or the mark of a document
  if (document.errors.length > 0 || (document.contents !== null && !isMap(document.contents)))
    throw new GroundworkError({
      code: "bad-kubeconfig",
      message: `Cannot change ${file}: it is no kubeconfig${document.errors[0] === undefined ? "" : ` (${document.errors[0].message.split("\n")[0] ?? ""})`}.`,
      next: "Mend or move it, then run the same command again; it was not touched.",
    });
  return document;
}

function findEntry(document: Document, list: string, name: string): number {
  const sequence: unknown = document.get(list);
  if (!isSeq(sequence)) return -1;
  return sequence.items.findIndex((item) => isMap(item) && item.get("name") === name);
}

/** The stack that a context was written for; undefined where it is not ours. */
function ownerOf(document: Document, name: string): string | undefined {
  const index = findEntry(document, "contexts", name);
  const extensions: unknown = document.getIn(["contexts", index, "context", "extensions"]);
  if (!isSeq(extensions)) return undefined;
  const mark = extensions.items.find((item) => isMap(item) && item.get("name") === markName);
  const stack: unknown = isMap(mark) ? mark.getIn(["extension", "stack"]) : undefined;
  return typeof stack === "string" ? stack : undefined;
}

/**
 * A user's kubeconfig with the cluster in it. Everything else stays as it is, comments and the current
 * context too; only where there is no current context, it becomes this one.
 *
 * @param text of the file; empty where there is none.
 * @throws GroundworkError `context-exists` where something of that name is not this stack's; `bad-kubeconfig`.
 */
export function mergeKubeconfig(
  text: string,
  file: string,
  ours: ClusterKubeconfig,
  stack: string,
): string {
  const document = readDocument(text, file);
  const [{ name }] = ours.contexts;
  const taken = lists.filter((list) => findEntry(document, list, name) >= 0);
  const owner = ownerOf(document, name);
  if (taken.length > 0 && owner !== stack)
    throw new GroundworkError({
      code: "context-exists",
      message: `Refused to write into ${file}: its ${taken.join(", ")} have a "${name}" that ${owner === undefined ? "Groundwork did not make" : `is of stack "${owner}"`}.`,
      next: `Rename that entry, or use the cluster's own file without --merge.`,
    });
  document.contents ??= document.createNode({ apiVersion: "v1", kind: "Config" });
  const values = {
    clusters: ours.clusters[0],
    users: ours.users[0],
    contexts: marked(ours, stack),
  };
  for (const list of lists) {
    if (!isSeq(document.get(list))) document.set(list, document.createNode([]));
    const index = findEntry(document, list, name);
    const node = document.createNode(values[list]);
    if (index >= 0) document.setIn([list, index], node);
    else document.addIn([list], node);
  }
  const current: unknown = document.get("current-context");
  if (current === undefined || current === null || current === "")
    document.set("current-context", name);
  return document.toString({ lineWidth: 0 });
}

/** A user's kubeconfig without a cluster of the stack; undefined where it has none of that name. */
export function removeFromKubeconfig(
  text: string,
  file: string,
  name: string,
  stack: string,
): string | undefined {
  const document = readDocument(text, file);
  if (ownerOf(document, name) !== stack) return undefined;
  for (const list of lists) {
    const index = findEntry(document, list, name);
    if (index >= 0) document.deleteIn([list, index]);
  }
  if (document.get("current-context") === name) document.set("current-context", "");
  return document.toString({ lineWidth: 0 });
}

/** What a shell evaluates so that kubectl uses a file. */
export function renderExport(file: string): string {
  return `export KUBECONFIG=${quote(file)}`;
}
