// A STAND-IN for pulumi-resource-command 1.2.1, for machines that cannot download the real plugin. It has the resources
// local.Command, remote.Command and remote.CopyToRemote and the function local.run with the schema and the meaning of
// the original, through the OpenSSH of this machine; the deprecated remote.CopyFile is left out. scripts/setup compiles
// these files and installs them where the CLI looks for the plugin. The engine starts this process in the project's
// directory, where it finds @pulumi/pulumi.
import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as path from "node:path";
import { buildProvider } from "./provider.ts";

interface Sdk {
  readonly provider: typeof import("@pulumi/pulumi/provider/index.js");
  readonly grpc: typeof import("@grpc/grpc-js");
  readonly services: typeof import("@pulumi/pulumi/proto/engine_grpc_pb.js");
  readonly messages: typeof import("@pulumi/pulumi/proto/engine_pb.js");
}

const sdk = loadSdk(process.cwd());
const engineAddress = process.argv.at(-1) ?? "";
const engine = new sdk.services.EngineClient(engineAddress, sdk.grpc.credentials.createInsecure());
const running = new AbortController();

const provider = buildProvider(
  (urn) => ({
    signal: running.signal,
    log: (severity, line) => {
      const request = new sdk.messages.LogRequest();
      const { INFO, WARNING } = sdk.messages.LogSeverity;
      request.setSeverity(severity === "info" ? INFO : WARNING);
      request.setMessage(line);
      request.setUrn(urn);
      request.setEphemeral(severity === "info");
      engine.log(request, () => {
        // A line that cannot be shown is no reason to fail.
      });
    },
  }),
  () => {
    running.abort(new Error("the update was cancelled"));
  },
);

onEngineGone(() => {
  running.abort(new Error("the engine is gone"));
  process.exit(1);
});
await sdk.provider.main(provider, [engineAddress]);

function loadSdk(directory: string): Sdk {
  const fromProject = createRequire(path.join(directory, "package.json"));
  try {
    const fromSdk = createRequire(fromProject.resolve("@pulumi/pulumi/package.json"));
    return {
      provider: fromSdk("./provider/index.js") as Sdk["provider"],
      grpc: fromSdk("@grpc/grpc-js") as Sdk["grpc"],
      services: fromSdk("./proto/engine_grpc_pb.js") as Sdk["services"],
      messages: fromSdk("./proto/engine_pb.js") as Sdk["messages"],
    };
  } catch (cause) {
    throw new Error(
      `The stand-in for the command plugin needs @pulumi/pulumi, and ${directory} has none. Run \`npm ci\` there.`,
      { cause },
    );
  }
}

/** The engine holds the other end of stdin and never writes: an end of file says that it is gone, even after kill -9. */
function onEngineGone(act: () => void): void {
  const input = fs.fstatSync(0);
  if (input.isFIFO() || input.isSocket()) process.stdin.on("end", act).on("error", act).resume();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, act);
}
