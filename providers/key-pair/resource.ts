import * as pulumi from "@pulumi/pulumi";
import { handlerStub } from "../stub.ts";

export interface KeyPairArgs {
  /** The comment at the end of the public key, one line. Changing it keeps the key. */
  comment: pulumi.Input<string>;
}

/**
 * An ed25519 key pair made by ssh-keygen on the machine that runs Pulumi, kept in the state.
 *
 * The same key stays for the life of the resource; to change it, replace the resource
 * (`pulumi up --replace URN`).
 */
export class KeyPair extends pulumi.dynamic.Resource {
  declare readonly comment: pulumi.Output<string>;
  /** One line in the format of `authorized_keys`, without its end. */
  declare readonly publicKey: pulumi.Output<string>;
  /** The private key as OpenSSH writes it. Always a secret: encrypted in the state. */
  declare readonly privateKey: pulumi.Output<string>;

  constructor(name: string, args: KeyPairArgs, opts?: pulumi.CustomResourceOptions) {
    super(
      handlerStub("key-pair"),
      name,
      { ...args, publicKey: undefined, privateKey: undefined },
      pulumi.mergeOptions(opts, { additionalSecretOutputs: ["privateKey"] }),
      "groundwork",
      "KeyPair",
    );
  }
}
