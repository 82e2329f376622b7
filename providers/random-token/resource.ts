import * as pulumi from "@pulumi/pulumi";
import { handlerStub } from "../stub.ts";

export interface RandomTokenArgs {
  /** What it is for, in a few words. Changing it keeps the token. */
  purpose: pulumi.Input<string>;
  /** Another number draws another token. */
  generation: pulumi.Input<number>;
}

/** A secret of 256 random bits, as 64 hexadecimal digits, kept in the state for the resource's life. */
export class RandomToken extends pulumi.dynamic.Resource {
  /** Always a secret: encrypted in the state. */
  declare readonly value: pulumi.Output<string>;

  constructor(name: string, args: RandomTokenArgs, opts?: pulumi.CustomResourceOptions) {
    super(
      handlerStub("random-token"),
      name,
      { ...args, value: undefined },
      pulumi.mergeOptions(opts, { additionalSecretOutputs: ["value"] }),
      "groundwork",
      "RandomToken",
    );
  }
}
