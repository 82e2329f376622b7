import * as pulumi from "@pulumi/pulumi";
import { handlerStub } from "../stub.ts";

export interface KeyPairArgs {
  /** The comment at the end of the public key, one line. Changing it keeps the key. */
  comment: pulumi.Input<string>;
  /**
   * A secret of 32 characters or more, from which the key follows, with `purpose`, when it is made: so it is
   * the same again after a destroy. Default: drawn by lot. A change keeps the key.
   */
  seed?: pulumi.Input<string>;
  /** What the key is for: another one follows for each from the same seed. */
  purpose?: string;
}

/**
 * An ed25519 key pair made on the machine that runs Pulumi, kept in the state.
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
      {
        ...args,
        ...(args.seed !== undefined && { seed: pulumi.secret(args.seed) }),
        ...{ publicKey: undefined, privateKey: undefined },
      },
      pulumi.mergeOptions(opts, { additionalSecretOutputs: ["privateKey", "seed"] }),
      "groundwork",
      "KeyPair",
    );
  }
}
