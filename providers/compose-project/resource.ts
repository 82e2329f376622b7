import * as pulumi from "@pulumi/pulumi";
import { handlerStub } from "../stub.ts";
import type { EngineSource, ImageMode } from "./core/arguments.ts";
import type { PlanSummary } from "./core/plan.ts";

export type { PlanSummary } from "./core/plan.ts";

/** An HTTP request by which a deployment is judged, made on the host itself. */
export interface HttpCheckArgs {
  /** Such as `http://127.0.0.1:8080/`. */
  url: pulumi.Input<string>;
  /** The status it must have. Default 200. */
  status?: pulumi.Input<number>;
  /** A text that must be in the answer. */
  contains?: pulumi.Input<string>;
  /** For how long it is asked again, in seconds. Default 60. */
  timeoutSeconds?: pulumi.Input<number>;
}

/** An image as `docker save` writes it, in the object store. */
export interface ArchiveArgs {
  /** Its name and tag; an image of this name on the host is not loaded again. */
  image: pulumi.Input<string>;
  /** URL of the object store, as the machine that runs Pulumi reaches it. */
  endpoint: pulumi.Input<string>;
  /** Default `us-east-1`. */
  region?: pulumi.Input<string>;
  bucket: pulumi.Input<string>;
  key: pulumi.Input<string>;
  /** The digest that the archive must have, instead of what `<key>.sha256` says. */
  sha256?: pulumi.Input<string>;
}

export interface ComposeProjectArgs {
  /**
   * Where it runs: `machine:<name>` of this stack, `ssh://[user@]host[:port]` (`keyfile`, `known_hosts`
   * and `config` in the query name files) or `local:`. A change replaces the project.
   */
  host: pulumi.Input<string>;
  /** The project's folder here, without what its `.syncignore` names. */
  folder: pulumi.Input<string>;
  /** Absolute path on the host: a link to the release that runs. A change replaces the project. */
  path: pulumi.Input<string>;
  /** Compose's name of the project. A change replaces it. */
  project: pulumi.Input<string>;
  /** `<project>/<stack>`: who may change and remove it. */
  owner: pulumi.Input<string>;
  /** In Compose's order. Default `["compose.yaml"]`. */
  composeFiles?: pulumi.Input<pulumi.Input<string>[]>;
  /** Variables for `.env`. */
  environment?: pulumi.Input<Record<string, pulumi.Input<string>>>;
  /** Variables for `.env` whose values are secrets. */
  secrets?: pulumi.Input<Record<string, pulumi.Input<string>>>;
  /**
   * Where Docker's engine and Compose V2 come from when the host lacks them: `distribution`, `docker`
   * (Docker's own repository), or `present`, the default: they must be there.
   */
  engine?: pulumi.Input<EngineSource>;
  /**
   * `pull`, the default: images that are missing are pulled, and those with a `build` section built.
   * `build`: built only. `preload`: `archives` are loaded, and nothing is pulled or built.
   */
  images?: pulumi.Input<ImageMode>;
  archives?: pulumi.Input<pulumi.Input<ArchiveArgs>[]>;
  /** A script of the project, run in the new release before anything stops; it refuses by failing. */
  checkScript?: pulumi.Input<string>;
  smokeChecks?: pulumi.Input<pulumi.Input<HttpCheckArgs>[]>;
  /** A script of the project, run after it came up; a failure rolls back. */
  smokeScript?: pulumi.Input<string>;
  /** Words for it. */
  smokeArguments?: pulumi.Input<pulumi.Input<string>[]>;
  /** How long services may take to become healthy, in seconds. Default 300. */
  upTimeoutSeconds?: pulumi.Input<number>;
  /** How long another deployment is waited for, in seconds. Default 300. */
  lockTimeoutSeconds?: pulumi.Input<number>;
  /** Removes the named volumes with the project. Default false: they stay. */
  deleteData?: pulumi.Input<boolean>;
  /** When one of these changes, the project is deployed again. */
  triggers?: pulumi.Input<unknown>[];
}

/**
 * A Compose project on a host that SSH reaches.
 *
 * The host runs exactly the files in the folder, or, where these do not come up, those it ran before.
 * Only services whose definition or mounted files changed get new containers. Preview shows in `plan`
 * what will be done; a plan that has something to do makes an update, though nothing changed here.
 */
export class ComposeProject extends pulumi.dynamic.Resource {
  declare readonly host: pulumi.Output<string>;
  declare readonly path: pulumi.Output<string>;
  declare readonly project: pulumi.Output<string>;
  /** The project's files with their digests and modes. */
  declare readonly files: pulumi.Output<Record<string, string>>;
  declare readonly plan: pulumi.Output<PlanSummary>;

  constructor(name: string, args: ComposeProjectArgs, opts?: pulumi.CustomResourceOptions) {
    super(
      handlerStub("compose-project"),
      name,
      {
        ...args,
        ...(args.secrets !== undefined && { secrets: pulumi.secret(args.secrets) }),
        ...{ stack: pulumi.getStack(), files: undefined, plan: undefined },
      },
      pulumi.mergeOptions(opts, { additionalSecretOutputs: ["secrets"] }),
      "groundwork",
      "ComposeProject",
    );
  }
}
