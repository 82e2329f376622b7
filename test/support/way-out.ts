import { spawn } from "node:child_process";
import * as http from "node:http";
import * as path from "node:path";
import { endTree, makeScratch, tied, undoAtExit } from "./scratch.ts";

/** At which a lab's machines find it, at the address of their gateway. */
export const wayOutPort = 3142;

/** An HTTP proxy for the machines of a lab, which by themselves reach nothing beyond it. */
export interface WayOut {
  /** The URLs that were asked for. */
  readonly asked: readonly string[];
  stop(): void;
}

/** Takes connections in the lab's network and hands them to the proxy, which is in this machine's. */
const relay = `
  const net = require("node:net");
  net.createServer((inside) => {
    const outside = net.connect(process.argv[1]);
    for (const each of [inside, outside])
      each.on("error", () => { inside.destroy(); outside.destroy(); });
    inside.pipe(outside).pipe(inside);
  }).listen(${String(wayOutPort)});`;

/** Opens a way out, over http alone, of the lab behind a network namespace. */
export async function openWayOut(namespace: string): Promise<WayOut> {
  const scratch = makeScratch("way-out");
  const socket = path.join(scratch.folder, "socket");
  const asked: string[] = [];
  const server = http.createServer((request, answer) => {
    const { method, headers, url = "" } = request;
    asked.push(url);
    const onward = http.request(url, { method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(socket, resolve);
  });
  const [file, args] = tied("nsenter", [
    `--net=${namespace}`,
    process.execPath,
    "-e",
    relay,
    socket,
  ]);
  const inside = spawn(file, args, { stdio: ["ignore", "ignore", "inherit"] });
  inside.unref();
  return {
    asked,
    stop: undoAtExit(() => {
      endTree(inside.pid);
      server.close();
      server.closeAllConnections();
      scratch.remove();
    }),
  };
}
