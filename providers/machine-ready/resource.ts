import * as pulumi from "@pulumi/pulumi";
import { handlerStub } from "../stub.ts";

export interface MachineReadyArgs {
  /** Name of the machine and of its domain. A change replaces this resource (not the machine). */
  machine: pulumi.Input<string>;
  /** libvirt's URI of its hypervisor, which decides the route to it. */
  hypervisorUri: pulumi.Input<string>;
  /** UUID of its domain, in lower case. */
  uuid: pulumi.Input<string>;
  /** The address at which SSH is expected. */
  address: pulumi.Input<string>;
  /** The user to log in as. */
  user: pulumi.Input<string>;
  /** The private key of that user, as OpenSSH writes it. A secret. */
  privateKey: pulumi.Input<string>;
  /** The only host key the machine may show: `ssh-ed25519 AAAA…`. */
  hostPublicKey: pulumi.Input<string>;
  /** Path of the serial log on the hypervisor; its end goes into errors. */
  serialLogPath: pulumi.Input<string>;
  /** How long to wait at most, in seconds. */
  timeoutSeconds: pulumi.Input<number>;
  /** When one of these changes, the machine is waited for again. */
  triggers: pulumi.Input<unknown>[];
}

/**
 * Is there once the machine answers over SSH with its pinned host key and cloud-init is done; a
 * machine that does not get there fails with the end of its serial log. One that is off is started,
 * which preview shows as an update with `start: true`.
 *
 * Also keeps `<home>/ssh/<stack>/config`, so that `ssh -F <that file> <machine>` works from the
 * machine that runs Pulumi.
 */
export class MachineReady extends pulumi.dynamic.Resource {
  declare readonly machine: pulumi.Output<string>;
  declare readonly address: pulumi.Output<string>;
  declare readonly user: pulumi.Output<string>;
  /** `true`; not known in preview before the machine has been waited for. */
  declare readonly ready: pulumi.Output<boolean>;

  constructor(name: string, args: MachineReadyArgs, opts?: pulumi.CustomResourceOptions) {
    super(
      handlerStub("machine-ready"),
      name,
      {
        ...args,
        privateKey: pulumi.secret(args.privateKey),
        stack: pulumi.getStack(),
        ready: undefined,
      },
      pulumi.mergeOptions(opts, { additionalSecretOutputs: ["privateKey"] }),
      "groundwork",
      "MachineReady",
    );
  }
}
