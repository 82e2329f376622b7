/**
 * The door of this package: the serialised stubs in Pulumi state import this file by its bare name
 * (see stub.ts), so its path and the signature of `run` may never change. Plain JavaScript, because
 * the process that hosts dynamic providers starts without TypeScript; everything behind is loaded
 * from source by tsx.
 */
import { register } from "tsx/esm/api";

register();

/** @type {import("./register.js").run} */
export async function run(name, method, ...args) {
  const runtime = await import("./runtime.ts");
  return runtime.runHandler(name, method, args);
}
