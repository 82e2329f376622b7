import * as pulumi from "@pulumi/pulumi";
import { handlerStub } from "../stub.ts";

export interface DomainShutdownArgs {
  /** libvirt's URI of the hypervisor, which decides the route to it. */
  hypervisorUri: pulumi.Input<string>;
  /** Name of the domain, for messages. */
  domain: pulumi.Input<string>;
  /** UUID of the domain, in lower case. */
  uuid: pulumi.Input<string>;
  /** How long it may take to shut down, by ACPI, before it is switched off. */
  timeoutSeconds: pulumi.Input<number>;
  /** When it changes, the domain is shut down. */
  trigger: pulumi.Input<string>;
}

/**
 * Shuts a domain down before it is made anew: libvirt's provider itself ends it as a power cut does.
 * The domain depends on this resource, whose trigger is what makes another domain. Nothing happens
 * when it is made or removed; a domain that is off, or gone, needs nothing.
 */
export class DomainShutdown extends pulumi.dynamic.Resource {
  constructor(name: string, args: DomainShutdownArgs, opts?: pulumi.CustomResourceOptions) {
    super(handlerStub("domain-shutdown"), name, { ...args }, opts, "groundwork", "DomainShutdown");
  }
}
