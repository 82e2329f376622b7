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

const outputsSchema = z.object({
  machines: z.record(z.string(), machineSchema).default({}),
  hypervisors: z.record(z.string(), hypervisorSchema).default({}),
});

/** What the program says about the lab; empty before the first `pulumi up`. */
export type LabOutputs = z.infer<typeof outputsSchema>;

/** Reads the outputs of a stack as the Automation API hands them over. */
export function parseOutputs(outputs: automation.OutputMap): LabOutputs {
  const values = Object.fromEntries(
    Object.entries(outputs).map(([name, { value }]) => [name, value as unknown]),
  );
  const parsed = outputsSchema.safeParse(values);
  if (parsed.success) return parsed.data;
  throw new GroundworkError({
    code: "unexpected-outputs",
    message: `The stack's outputs are not what these scripts know: ${z.prettifyError(parsed.error)}.`,
    next: "Run `make up`, which writes them anew.",
    cause: parsed.error,
  });
}
