import { z } from "zod";
import type { automation } from "@pulumi/pulumi";
import { GroundworkError } from "../../providers/errors.ts";

const machineSchema = z.object({
  name: z.string(),
  addresses: z.array(z.string()),
  mac: z.string(),
  sshCommand: z.string(),
  volumePath: z.string(),
  imageDigest: z.string().optional(),
  serialLogPath: z.string(),
});

const hypervisorSchema = z.object({
  uri: z.string(),
  accelerator: z.string(),
  volumeGroup: z.string(),
});

/** A machine as the stack's output `machines` describes it. */
export type MachineOutput = z.infer<typeof machineSchema>;

const sshSchema = z.object({
  privateKey: z.string(),
  machines: z.array(
    z.object({
      name: z.string(),
      user: z.string(),
      address: z.string(),
      hostPublicKey: z.string(),
      hypervisorUri: z.string(),
    }),
  ),
});

/** What `ssh` needs to enter the machines: a secret. */
export type SshOutput = z.infer<typeof sshSchema>;

const clusterSchema = z.object({
  apiUrl: z.string(),
  nodes: z
    .array(z.object({ name: z.string(), version: z.string(), ready: z.boolean() }))
    .default([]),
  timings: z.record(z.string(), z.number()).default({}),
});

const labSchema = z.object({
  machines: z.record(z.string(), machineSchema).default({}),
  /** Missing in stacks that were last deployed before there were clusters. */
  clusters: z.record(z.string(), clusterSchema).optional(),
  hypervisors: z.record(z.string(), hypervisorSchema).default({}),
  // Its password stays where it is: `pulumi stack output --show-secrets`.
  observability: z.object({ urls: z.record(z.string(), z.string()) }).optional(),
});

/** What the program says about the lab; empty before the first `pulumi up`. */
export type LabOutputs = z.infer<typeof labSchema>;

/**
 * Reads the outputs of a stack as the Automation API hands them over, the secret part apart.
 *
 * @throws GroundworkError `unexpected-outputs`
 */
export function parseOutputs(outputs: automation.OutputMap): {
  lab: LabOutputs;
  ssh?: SshOutput;
  kubeconfigs?: Record<string, string>;
} {
  const { ssh, kubeconfigs, ...values } = Object.fromEntries(
    Object.entries(outputs).map(([name, { value }]) => [name, value as unknown]),
  );
  const parsed = z
    .object({
      lab: labSchema,
      ssh: sshSchema.optional(),
      kubeconfigs: z.record(z.string(), z.string()).optional(),
    })
    .safeParse({ lab: values, ssh, kubeconfigs });
  if (!parsed.success)
    throw new GroundworkError({
      code: "unexpected-outputs",
      message: `The stack's outputs are not what these scripts know: ${z.prettifyError(parsed.error)}.`,
      next: "Run `make up`, which writes them anew.",
      cause: parsed.error,
    });
  const { lab, ssh: login, kubeconfigs: texts } = parsed.data;
  return {
    lab,
    ...(texts !== undefined && { kubeconfigs: texts }),
    ...(login !== undefined && { ssh: login }),
  };
}
