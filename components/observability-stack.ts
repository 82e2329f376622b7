import * as pulumi from "@pulumi/pulumi";
import { ComposeProject } from "../providers/compose-project/resource.ts";
import type { EngineSource } from "../providers/compose-project/core/arguments.ts";
import {
  derivePassword,
  planStack,
  planUrls,
  type StackImage,
  type StackUrls,
} from "./planning/observability.ts";
import type { VirtualMachine } from "./virtual-machine.ts";

/** The Compose project's own name for itself. */
const project = "lab";

export interface ObservabilityStackArgs {
  /** A machine of this stack, or a host that SSH reaches (`ssh://deploy@…`). A change moves it there. */
  target: { name: string; machine: VirtualMachine } | { uri: string };
  /** Absolute path of the project there. A change replaces it. */
  path: string;
  /** The project's folder here. */
  folder: string;
  /** Where Docker comes from when it is missing. */
  engine: EngineSource;
  /** Where images come from. */
  images: "pull" | "build" | "preload";
  /** For `build` and `preload`: the images in the object store. */
  archives: readonly StackImage[];
  objectStore: { endpoint: string; bucket: string; region: string };
  /** The port of the frontend. */
  httpPort: number;
  /** How long services may take to become healthy, in seconds. */
  upTimeoutSeconds: number;
  /** Removes the data with the stack. */
  deleteData: boolean;
  /** From which the passwords are derived. */
  privateKey: pulumi.Output<string>;
}

/**
 * The observability lab on a host: a task manager with its telemetry, by Docker Compose.
 *
 * What runs is what the folder holds, or the last that came up and passed its smoke test. Data are in
 * named volumes, which stay when the stack is destroyed unless `deleteData` says otherwise.
 */
export class ObservabilityStack extends pulumi.ComponentResource {
  readonly urls: StackUrls;
  /** Of Grafana's user `admin`. A secret. */
  readonly grafanaPassword: pulumi.Output<string>;

  constructor(name: string, args: ObservabilityStackArgs, opts?: pulumi.ComponentResourceOptions) {
    super("groundwork:index:ObservabilityStack", name, {}, opts);
    const { target, objectStore } = args;
    const stack = pulumi.getStack();
    const plan = planStack({ ...args, deployment: stack });
    const machine = "machine" in target ? target.machine : undefined;
    const host = "uri" in target ? target.uri : `machine:${target.name}`;
    const address = "uri" in target ? new URL(target.uri).hostname : target.machine.addresses[0];
    this.urls = planUrls(address ?? "", args.httpPort, plan);
    this.grafanaPassword = pulumi.secret(
      args.privateKey.apply((key) => derivePassword(key, `${name}/grafana`)),
    );

    const deployed = new ComposeProject(
      name,
      {
        ...{ host, folder: args.folder, path: args.path, project },
        owner: `${pulumi.getProject()}/${stack}`,
        composeFiles: plan.composeFiles,
        environment: plan.environment,
        secrets: { GRAFANA_ADMIN_PASSWORD: this.grafanaPassword },
        engine: args.engine,
        images: args.images === "pull" ? "pull" : "preload",
        archives: args.archives.map(({ image, key, sha256 }) => ({
          ...{ ...objectStore, image, key },
          ...(sha256 !== undefined && { sha256 }),
        })),
        checkScript: "check-config",
        smokeScript: "smoke-test",
        smokeArguments: ["--http-port", String(args.httpPort)],
        upTimeoutSeconds: args.upTimeoutSeconds,
        deleteData: args.deleteData,
        triggers: machine === undefined ? [] : [machine.identity],
      },
      { parent: this, ...(machine !== undefined && { dependsOn: machine }) },
    );

    this.registerOutputs({
      urls: this.urls,
      grafanaPassword: this.grafanaPassword,
      files: deployed.files,
    });
  }
}
