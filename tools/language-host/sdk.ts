import { createRequire } from "node:module";
import * as path from "node:path";

/** The parts of the program's own `@pulumi/pulumi` that the host is built on. */
export interface Sdk {
  readonly version: string;
  /** Absolute path of the script that runs a program. */
  readonly runScript: string;
  readonly grpc: typeof import("@grpc/grpc-js");
  readonly services: typeof import("@pulumi/pulumi/proto/language_grpc_pb.js");
  readonly language: typeof import("@pulumi/pulumi/proto/language_pb.js");
  readonly plugin: typeof import("@pulumi/pulumi/proto/plugin_pb.js");
  readonly empty: typeof import("google-protobuf/google/protobuf/empty_pb.js");
}

/**
 * Resolves `@pulumi/pulumi` from the program's directory, so that the host speaks exactly the protocol of the SDK the
 * program uses and lies anywhere itself. Throws with the next step when it is not installed there.
 */
export function loadSdk(directory: string): Sdk {
  const fromProgram = createRequire(path.join(directory, "package.json"));
  const manifest = resolveManifest(fromProgram, directory);
  const fromSdk = createRequire(manifest);
  return {
    version: (fromSdk(manifest) as { version: string }).version,
    runScript: fromSdk.resolve("./cmd/run/index.js"),
    grpc: fromSdk("@grpc/grpc-js") as Sdk["grpc"],
    services: fromSdk("./proto/language_grpc_pb.js") as Sdk["services"],
    language: fromSdk("./proto/language_pb.js") as Sdk["language"],
    plugin: fromSdk("./proto/plugin_pb.js") as Sdk["plugin"],
    empty: fromSdk("google-protobuf/google/protobuf/empty_pb.js") as Sdk["empty"],
  };
}

/** Absolute path of the script in the program's own SDK that runs a program in `directory`. */
export function findRunScript(directory: string): string {
  const manifest = resolveManifest(createRequire(path.join(directory, "package.json")), directory);
  return createRequire(manifest).resolve("./cmd/run/index.js");
}

function resolveManifest(require: NodeJS.Require, directory: string): string {
  try {
    return require.resolve("@pulumi/pulumi/package.json");
  } catch (cause) {
    throw new Error(
      `The Pulumi program in ${directory} has no @pulumi/pulumi: it is in no node_modules folder there or above. ` +
        "Run `npm ci` in the project and try again.",
      { cause },
    );
  }
}
