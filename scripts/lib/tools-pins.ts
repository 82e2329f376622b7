import { goLibvirtStreams, type Mend } from "./tools-mends.ts";

/** The exact versions of everything that set-up installs beside the npm packages. */
export const pins = {
  pulumi: "3.259.0",
  terraformBridge: "1.1.3",
  libvirtProvider: "0.8.3",
  commandPlugin: "1.2.1",
  /** The commit of 2026-02-12 that tools/minio pins: MinIO publishes newer sources than binaries. */
  minioSource: "20260212201848",
  /** The last release that MinIO publishes as a binary with a checksum. */
  minioRelease: "RELEASE.2025-09-07T16-13-09Z",
  collector: "0.158.0",
  compose: "2.40.3",
  loki: "3.7.8",
  /** The last release whose module can be built from the registry. */
  tempo: "1.5.0",
  healthcheck: "1.0.0",
  cadvisor: "0.60.6",
  /** What the stand-in for k3s says it is: the Kubernetes that tools/k3s pins, as k3s names its releases. */
  k3s: "v1.34.3+k3s1",
  /** The same sources under the name of the release before, from which tests upgrade. */
  k3sBefore: "v1.34.2+k3s1",
  /** That of the pinned k3s. */
  coredns: "1.13.1",
  /** Lowest release of Go that the pinned modules build with. */
  go: "1.25",
} as const;

export const toolNames = [
  "pulumi",
  "language-host",
  "dynamic-launcher",
  "terraform-bridge",
  "libvirt-provider",
  "command-plugin",
  "minio",
  "collector",
  "compose",
  "loki",
  "tempo",
  "healthcheck",
  "cadvisor",
  "k3s",
  "k3s-before",
  "k3s-airgap",
  "coredns",
] as const;

export type ToolName = (typeof toolNames)[number];

/** How a tool is made on a machine that reaches package registries only. */
export type Recipe =
  /** `go build` of one package, in the module `tools/<module>`. */
  | {
      readonly kind: "go";
      readonly module: string;
      readonly package: string;
      readonly ldflags: string;
      readonly mend?: Mend;
    }
  /** TypeScript in `tools/<folder>`, compiled, and a launcher that starts its main.js by node. */
  | { readonly kind: "script"; readonly folder: string }
  /** A file out of a Go module that `tools/<module>` requires. */
  | {
      readonly kind: "module-file";
      readonly module: string;
      readonly from: string;
      readonly file: string;
    };

/**
 * What needs tools beyond those of every lab: stacks that make the observability lab's images
 * (`images: build`), `make test`, and tests of clusters.
 */
export const toolGroups = ["observability", "tests", "k3s"] as const;
export type ToolGroup = (typeof toolGroups)[number];

/** A tool, as the user reads about it, and how it is made. */
export interface Tool {
  readonly title: string;
  /** What it is for. */
  readonly why: string;
  readonly recipe: Recipe;
  /** How long making it takes on 2 cores with nothing cached, in seconds: measured. */
  readonly buildSeconds: number;
  /** Only these use it: set-up makes it when it is asked to, and always from its modules. */
  readonly only?: readonly ToolGroup[];
}

const strip = "-s -w";

/** One build of the stand-in for k3s; another version is only another link. */
function k3sTool(version: string, buildSeconds: number): Tool {
  const [, major = "", minor = ""] = /^v(\d+)\.(\d+)/.exec(version) ?? [];
  const values = { gitVersion: version, gitMajor: major, gitMinor: minor, gitTreeState: "clean" };
  const set = Object.entries(values).map(
    ([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`,
  );
  return {
    title: `stand-in for k3s ${version}`,
    why: "is Kubernetes in tests",
    recipe: { kind: "go", module: "k3s", package: ".", ldflags: [strip, ...set].join(" ") },
    buildSeconds,
    only: ["k3s"],
  };
}

export const tools: Readonly<Record<ToolName, Tool>> = {
  pulumi: {
    title: `Pulumi CLI ${pins.pulumi}`,
    why: "runs the program",
    recipe: {
      kind: "go",
      module: "pulumi",
      package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
      ldflags: `${strip} -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${pins.pulumi}`,
    },
    buildSeconds: 330,
  },
  "language-host": {
    title: "Node.js language host",
    why: "lets the CLI run TypeScript",
    recipe: { kind: "script", folder: "language-host" },
    buildSeconds: 1,
  },
  "dynamic-launcher": {
    title: "dynamic-provider launcher",
    why: "starts this project's own providers",
    recipe: {
      kind: "module-file",
      module: "pulumi",
      from: "github.com/pulumi/pulumi/sdk/v3",
      file: "nodejs/dist/pulumi-resource-pulumi-nodejs",
    },
    buildSeconds: 1,
  },
  "terraform-bridge": {
    title: `Terraform bridge ${pins.terraformBridge}`,
    why: "carries the libvirt provider",
    recipe: {
      kind: "go",
      module: "terraform-bridge",
      package: "github.com/pulumi/pulumi-terraform-bridge/v3/dynamic",
      ldflags:
        `${strip} -X google.golang.org/protobuf/reflect/protoregistry.conflictPolicy=ignore` +
        ` -X github.com/pulumi/pulumi-terraform-bridge/v3/dynamic/version.version=v${pins.terraformBridge}`,
    },
    buildSeconds: 200,
  },
  "libvirt-provider": {
    title: `libvirt provider ${pins.libvirtProvider}`,
    why: "makes domains, networks and pools",
    recipe: {
      kind: "go",
      module: "libvirt-provider",
      package: "github.com/dmacvicar/terraform-provider-libvirt",
      ldflags: strip,
      mend: goLibvirtStreams,
    },
    buildSeconds: 35,
  },
  "command-plugin": {
    title: `command plugin ${pins.commandPlugin}`,
    why: "runs commands on machines",
    recipe: { kind: "script", folder: "command-plugin" },
    buildSeconds: 1,
  },
  minio: {
    title: "MinIO",
    why: "stores base images where there is no object store",
    recipe: { kind: "go", module: "minio", package: "github.com/minio/minio", ldflags: strip },
    buildSeconds: 210,
  },
  collector: {
    title: `OpenTelemetry Collector ${pins.collector}`,
    why: "receives telemetry in tests and in the observability stack",
    recipe: {
      kind: "go",
      module: "collector",
      package: ".",
      ldflags: `${strip} -X main.version=${pins.collector}`,
    },
    buildSeconds: 150,
    only: ["observability", "tests"],
  },
  compose: {
    title: `Docker Compose ${pins.compose}`,
    why: "runs the observability stack in tests",
    recipe: {
      kind: "go",
      module: "compose",
      package: "github.com/docker/compose/v2/cmd",
      ldflags: `${strip} -X github.com/docker/compose/v2/internal.Version=v${pins.compose}`,
    },
    buildSeconds: 90,
    only: ["tests"],
  },
  loki: {
    title: `Loki ${pins.loki}`,
    why: "keeps logs in the observability stack",
    recipe: {
      kind: "go",
      module: "loki",
      package: "github.com/grafana/loki/v3/cmd/loki",
      ldflags: `${strip} -X github.com/grafana/loki/v3/pkg/util/build.Version=${pins.loki}`,
    },
    buildSeconds: 300,
    only: ["observability", "tests"],
  },
  tempo: {
    title: `Tempo ${pins.tempo}`,
    why: "keeps traces in the observability stack",
    recipe: {
      kind: "go",
      module: "tempo",
      package: ".",
      // Its golang.org/x/net refers to a function of the runtime, which newer linkers forbid.
      ldflags: `${strip} -checklinkname=0 -X main.version=${pins.tempo}`,
    },
    buildSeconds: 100,
    only: ["observability", "tests"],
  },
  healthcheck: {
    title: "health check",
    why: "asks a service in a container how it is",
    recipe: { kind: "go", module: "healthcheck", package: ".", ldflags: strip },
    buildSeconds: 5,
    only: ["observability", "tests"],
  },
  cadvisor: {
    title: `cAdvisor ${pins.cadvisor}`,
    why: "tells what containers use in the observability stack",
    recipe: {
      kind: "go",
      module: "cadvisor",
      package: ".",
      ldflags: `${strip} -X main.version=${pins.cadvisor}`,
    },
    buildSeconds: 15,
    only: ["observability", "tests"],
  },
  k3s: k3sTool(pins.k3s, 260),
  "k3s-before": k3sTool(pins.k3sBefore, 15),
  "k3s-airgap": {
    title: "container images for k3s",
    why: "are what pods run in tests",
    recipe: { kind: "go", module: "k3s", package: "./airgap", ldflags: strip },
    buildSeconds: 5,
    only: ["k3s"],
  },
  coredns: {
    title: `CoreDNS ${pins.coredns}`,
    why: "resolves services' names in tests",
    recipe: { kind: "go", module: "coredns", package: ".", ldflags: strip },
    buildSeconds: 65,
    only: ["k3s"],
  },
};
