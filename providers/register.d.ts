/** What Pulumi asks of a dynamic provider. */
export type Method = "configure" | "check" | "diff" | "create" | "read" | "update" | "delete";

/**
 * Runs one method of the handler module `providers/<name>/provider.ts`.
 *
 * Stubs in the state of existing stacks call this function: its name and parameters are part of the
 * state's format and may never change.
 */
export function run(name: string, method: Method, ...args: unknown[]): Promise<unknown>;
