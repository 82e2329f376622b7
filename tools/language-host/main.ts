// pulumi-language-nodejs, for machines that cannot download Pulumi's own: the part of it that running a program needs,
// on the protocol definitions inside the program's @pulumi/pulumi. scripts/setup compiles these files and installs
// them beside the CLI. The engine starts this process in the project's directory with its own address as the last
// argument and reads the port from the first line of stdout.
import * as fs from "node:fs";
import { buildHost } from "./host.ts";
import { loadSdk } from "./sdk.ts";

const engineAddress = process.argv.at(-1) ?? "";

try {
  const sdk = loadSdk(process.cwd());
  const host = buildHost(sdk, engineAddress);
  const server = new sdk.grpc.Server({
    "grpc.max_receive_message_length": 400 * 1024 * 1024,
    "grpc.max_send_message_length": 400 * 1024 * 1024,
  });
  server.addService(sdk.services.LanguageRuntimeService, host.implementation);
  server.bindAsync("127.0.0.1:0", sdk.grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error !== null) return fail(error);
    console.log(port);
  });
  onEngineGone(() => {
    host.endPrograms();
    process.exit(1);
  });
} catch (error) {
  fail(error);
}

function fail(error: unknown): void {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

/** The engine holds the other end of stdin and never writes: an end of file says that it is gone, even after kill -9. */
function onEngineGone(act: () => void): void {
  if (!fs.fstatSync(0).isFIFO() && !fs.fstatSync(0).isSocket()) return;
  process.stdin.on("end", act).on("error", act).resume();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, act);
}
