import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { parse } from "yaml";
import {
  mergeKubeconfig,
  parseClusterKubeconfig,
  removeFromKubeconfig,
  renderExport,
  withServer,
  withToken,
} from "../../../scripts/lib/kubeconfig-plan.ts";

const ours = parseClusterKubeconfig(`
apiVersion: v1
kind: Config
clusters: [{ name: kube, cluster: { server: "https://192.168.150.20:6443" } }]
users: [{ name: kube, user: { client-key-data: S0VZ } }]
contexts: [{ name: kube, context: { cluster: kube, user: kube } }]
current-context: kube
`);

describe("withToken", () => {
  it("leaves nothing of the administrator in it, and stands beside theirs", () => {
    const scoped = withToken(ours, { name: "kube.view.web", token: "T", namespace: "web" });
    assert.doesNotMatch(JSON.stringify(scoped), /client-key-data/);
    assert.deepEqual(scoped.users, [{ name: "kube.view.web", user: { token: "T" } }]);
    const merged = parse(
      mergeKubeconfig(mergeKubeconfig("", "f", ours, "lab"), "f", scoped, "lab"),
    ) as Kubeconfig;
    assert.deepEqual(
      merged.contexts.map(({ name }) => name),
      ["kube", "kube.view.web"],
    );
  });
});

const theirs = `# mine
apiVersion: v1
kind: Config
preferences: {}
clusters:
  - name: work # do not touch
    cluster: { server: "https://work:6443" }
users:
  - name: work
    user: { token: secret }
contexts:
  - name: work
    context: { cluster: work, user: work, namespace: dev }
current-context: work
`;

interface Kubeconfig {
  clusters: { name: string; cluster: { server: string } }[];
  contexts: { name: string }[];
  "current-context": string;
}

const merge = (text: string, config = ours): string =>
  mergeKubeconfig(text, "~/.kube/config", config, "lab");
const read = (text: string): Kubeconfig => parse(text) as Kubeconfig;

describe("mergeKubeconfig", () => {
  it("adds the cluster and leaves everything else, comments and current context too", () => {
    const merged = merge(theirs);
    assert.match(merged, /^# mine\n/);
    assert.match(merged, /# do not touch/);
    assert.equal(read(merged)["current-context"], "work");
    assert.deepEqual(
      read(merged).clusters.map(({ name }) => name),
      ["work", "kube"],
    );
  });

  it("replaces what it wrote before, once", () => {
    const twice = merge(merge(theirs), withServer(ours, "https://127.0.0.1:4711"));
    assert.deepEqual(
      read(twice).clusters.map(({ name, cluster }) => [name, cluster.server]),
      [
        ["work", "https://work:6443"],
        ["kube", "https://127.0.0.1:4711"],
      ],
    );
  });

  it("makes a file of its own where there is none, with the cluster as its current context", () => {
    for (const text of ["", "---\n"]) assert.equal(read(merge(text))["current-context"], "kube");
  });

  it("refuses a context of the same name that is not ours", () => {
    assert.throws(() => merge(theirs.replaceAll("work", "kube")), { code: "context-exists" });
  });

  it("refuses, and does not remove, what is another stack's", () => {
    const others = mergeKubeconfig("", "f", ours, "attic");
    assert.throws(() => merge(others), { code: "context-exists", message: /is of stack "attic"/ });
    assert.equal(removeFromKubeconfig(others, "f", "kube", "lab"), undefined);
    assert.ok(removeFromKubeconfig(others, "f", "kube", "attic"));
  });

  it("refuses, and so does not touch, what is no kubeconfig", () => {
    for (const text of ["- a\n", "a: [\n", "just words"])
      assert.throws(() => merge(text), { code: "bad-kubeconfig" });
  });
});

describe("removeFromKubeconfig", () => {
  it("gives back what was there before", () => {
    const removed = removeFromKubeconfig(merge(theirs), "f", "kube", "lab");
    assert.deepEqual(parse(removed ?? ""), parse(theirs));
  });

  it("removes nothing that is not ours", () => {
    assert.equal(removeFromKubeconfig(theirs, "f", "work", "lab"), undefined);
    assert.equal(removeFromKubeconfig("", "f", "kube", "lab"), undefined);
  });

  it("leaves no current context that is gone", () => {
    assert.equal(
      read(removeFromKubeconfig(merge(""), "f", "kube", "lab") ?? "")["current-context"],
      "",
    );
  });
});

describe("renderExport", () => {
  it("is read by a shell as it is meant, whatever the path has", () => {
    const file = "/srv/my lab's $HOME/kube/lab.yaml";
    const script = `${renderExport(file)}; printf %s "$KUBECONFIG"`;
    assert.equal(execFileSync("sh", ["-c", script], { encoding: "utf8" }), file);
  });
});
