import * as pulumi from "@pulumi/pulumi";
import { GroundworkError } from "../providers/errors.ts";

/** Runs a plan for a resource; what it refuses is shown with the resource and without a stack. */
export function present<T>(resource: pulumi.Resource, plan: () => T): T {
  try {
    return plan();
  } catch (error) {
    if (!(error instanceof GroundworkError)) throw error;
    throw new pulumi.ResourceError(error.message, resource, true);
  }
}
