import { serve } from "@hono/node-server";
import { Command, InvalidArgumentError, Option } from "commander";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { GroundworkError } from "../providers/errors.ts";
import { parseLibvirtUri } from "../providers/host/core/connection.ts";
import { createApi } from "../server/api.ts";
import { parseHostName } from "../server/core/browsers.ts";
import { isLoopback } from "../server/core/loopback.ts";
import { JobQueue } from "../server/effects/job-queue.ts";
import { JobStore } from "../server/effects/job-store.ts";
import { createMetrics } from "../server/effects/metrics.ts";
import { readTokens } from "../server/effects/token.ts";
import { runCommand } from "./lib/cli.ts";

interface Options {
  uri: string;
  volumeGroup: string;
  owner: string;
  adopt: boolean;
  listen: string;
  port: number;
  allowHost: readonly string[];
  tokens?: string;
  jobs: string;
}

/** No client of ours needs longer, and none shall hold a connection by saying nothing. */
const limits = {
  headersTimeout: 10_000,
  requestTimeout: 20_000,
  connectionsCheckingInterval: 2000,
};
const connections = 256;

function tokensFor({ tokens: file, listen }: Options): string[] {
  if (file !== undefined) return readTokens(file);
  if (isLoopback(listen)) return [];
  throw new GroundworkError({
    code: "token-required",
    message: `Refused to listen on ${listen} without a token: whoever reaches it could overwrite volumes.`,
    next: "Name a file with --tokens, or listen on 127.0.0.1.",
  });
}

async function provisionServer(options: Options): Promise<void> {
  const { uri, volumeGroup, owner, adopt, listen, port, allowHost } = options;
  parseLibvirtUri(uri);
  const tokens = tokensFor(options);
  const store = await JobStore.open(options.jobs);
  const metrics = createMetrics(() => queue.activeJobs);
  const target = { hypervisorUri: uri, volumeGroup, owner, adopt };
  const queue = new JobQueue(store, target, (status) => {
    metrics.countJob(status);
  });
  const hosts = { loopbackOnly: isLoopback(listen), allowed: allowHost };
  const api = createApi({ queue, metrics, hypervisorUri: uri, tokens, hosts });
  const server = serve({ fetch: api.fetch, hostname: listen, port, serverOptions: limits });
  server.maxConnections = connections;
  await once(server, "listening");
  queue.start();
  const { address, port: bound } = server.address() as AddressInfo;
  const shown = address.includes(":") ? `[${address}]` : address;
  process.stdout.write(`listening on http://${shown}:${String(bound)}\n`);
  const signal = await new Promise<string>((resolve) => {
    // Listening on: the library that ends child processes with us would else end us at once.
    for (const name of ["SIGTERM", "SIGINT"]) process.on(name, resolve);
  });
  process.stdout.write(`${signal}: ending; jobs that have not ended go on with the next start\n`);
  server.close();
  await queue.stop();
  process.exit(); // connections that clients keep open are not waited for
}

const parsePort = (text: string): number => {
  if (/^\d{1,5}$/.test(text) && Number(text) < 65536) return Number(text);
  throw new InvalidArgumentError("It must be a port.");
};

const parseHosts = (text: string, before: readonly string[]): readonly string[] => {
  const name = parseHostName(text);
  if (name === undefined || name !== text.replace(/^\[(.*)\]$/, "$1").toLowerCase())
    throw new InvalidArgumentError("It must be a host name or address, without a port.");
  return [...before, name];
};

const jobsFolder = path.join(
  process.env["GROUNDWORK_HOME"] ?? path.resolve(import.meta.dirname, "../.groundwork"),
  "provision-server",
);

await runCommand(
  new Command("make provision-server")
    .description(
      [
        "Serves the HTTP API of libvirt-volume-provisioner for one hypervisor: writes images from an",
        "object store onto volumes, as the resource ImageVolume does. /openapi.json describes the API.",
        "The store's keys are read from MINIO_ACCESS_KEY and MINIO_SECRET_KEY.",
      ].join("\n"),
    )
    .usage("[ARGS=options]")
    .addOption(
      new Option("--uri <uri>", "the hypervisor")
        .env("LIBVIRT_DEFAULT_URI")
        .default("qemu:///system"),
    )
    .addOption(
      new Option("--volume-group <name>", "where volumes are made")
        .env("LVM_VOLUME_GROUP")
        .makeOptionMandatory(),
    )
    .option("--owner <project/stack>", "tagged onto the volumes", "provision-server/default")
    .option("--adopt", "also write volumes that carry another owner's tag or none", false)
    .option("--listen <address>", "any but loopback needs --tokens", "127.0.0.1")
    .addOption(
      new Option("--port <port>", "0: any that is free")
        .env("PORT")
        .argParser(parsePort)
        .default(8080),
    )
    .addOption(
      new Option(
        "--tokens <file>",
        "tokens, one a line, of which requests below /api must carry one",
      ).env("API_TOKENS_FILE"),
    )
    .addOption(
      new Option(
        "--allow-host <name>",
        "a host name under which a loopback address is reached, beside localhost; may be repeated",
      )
        .argParser(parseHosts)
        .default([], "none"),
    )
    .option("--jobs <folder>", "where jobs are kept, to go on after a restart", jobsFolder)
    .addHelpText(
      "after",
      [
        "\nExamples:",
        '  make provision-server ARGS="--volume-group vg0"',
        '  make provision-server ARGS="--volume-group vg0 --listen 0.0.0.0 --tokens /etc/groundwork/tokens"',
        '  curl -d \'{"image_url": "http://127.0.0.1:9000/images/debian.qcow2", "volume_name": "vm1-root",',
        "    \"volume_size_gb\": 10}' -H 'Content-Type: application/json' 127.0.0.1:8080/api/v1/jobs\n",
      ].join("\n"),
    )
    .action(provisionServer),
);
