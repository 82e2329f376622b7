import * as pulumi from "@pulumi/pulumi";
import { handlerStub } from "../stub.ts";

export interface HostFolderArgs {
  /** libvirt's URI of the hypervisor. Naming another host replaces the folder. */
  hypervisorUri: pulumi.Input<string>;
  /** Absolute path on the hypervisor. Changing it replaces the folder. */
  path: pulumi.Input<string>;
  /** Folders to make in it. */
  subfolders: pulumi.Input<pulumi.Input<string>[]>;
  /** `<project>/<stack>`: who may use and remove the folder. */
  owner: pulumi.Input<string>;
  /** The stack's name for the host: another one of the stack may not use the folder. */
  hypervisor: pulumi.Input<string>;
}

/**
 * A folder on a hypervisor for what a stack's domains need there beside their volumes: serial
 * logs, UEFI variables, seeds. A file `.groundwork` in it says whose it is.
 *
 * It is removed with everything in it, and with the domains that log into it and that a start which
 * failed left defined: libvirt defines a domain before it starts it, and Pulumi does not know of those.
 */
export class HostFolder extends pulumi.dynamic.Resource {
  declare readonly path: pulumi.Output<string>;

  constructor(name: string, args: HostFolderArgs, opts?: pulumi.CustomResourceOptions) {
    super(handlerStub("host-folder"), name, { ...args }, opts, "groundwork", "HostFolder");
  }
}
