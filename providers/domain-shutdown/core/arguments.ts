import { z } from "zod";
import { uuidPattern } from "../../image-volume/core/layout.ts";

export const shutdownSchema = z.strictObject({
  hypervisorUri: z.string().min(1),
  domain: z.string().min(1),
  uuid: z.string().regex(uuidPattern, "must be a UUID in lower case"),
  timeoutSeconds: z.number().int().min(1).max(3600),
  trigger: z.string(),
});

export type ShutdownArguments = z.infer<typeof shutdownSchema>;
