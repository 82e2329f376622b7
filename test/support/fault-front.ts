import * as http from "node:http";
import * as https from "node:https";
import type { AddressInfo } from "node:net";

/** What a front does with a request instead of passing it on. */
export type Fault =
  /** Answers with this status and nothing else. */
  | { status: number }
  /** Passes the answer on, but cuts the connection after so many bytes of its body. */
  | { cutAfterBytes: number }
  /** Passes the request on without its Range, as a server that knows none. */
  | { ignoreRange: true }
  /** Passes the answer on, slowly: so many bytes per second. */
  | { bytesPerSecond: number }
  /** Never answers. */
  | { hang: true };

export interface SeenRequest {
  method: string;
  /** Without its query, which holds the signature. */
  path: string;
  range?: string;
}

/** An HTTP server before an object store that can misbehave on purpose. */
export interface FaultFront {
  readonly endpoint: string;
  /** Every request so far, in order. */
  readonly seen: SeenRequest[];
  /** Decides about each request; `undefined` passes it on. */
  fault: (request: SeenRequest) => Fault | undefined;
  stop(): void;
}

/** @param tls speaks HTTPS with this certificate, instead of HTTP */
export async function startFaultFront(
  target: string,
  tls?: { key: string; cert: string },
): Promise<FaultFront> {
  const answer: http.RequestListener = (request, response) => {
    const range = request.headers.range;
    const seen: SeenRequest = {
      method: request.method ?? "",
      path: decodeURIComponent(new URL(request.url ?? "/", target).pathname),
      ...(range !== undefined && { range }),
    };
    front.seen.push(seen);
    const fault = front.fault(seen);
    if (fault !== undefined && "hang" in fault) return;
    if (fault !== undefined && "status" in fault) {
      response.writeHead(fault.status).end();
      return;
    }
    const headers = { ...request.headers };
    if (fault !== undefined && "ignoreRange" in fault) delete headers.range;
    // The Host header stays as it is: the signature covers it.
    const { hostname, port } = new URL(target);
    const onward = { hostname, port, method: request.method, path: request.url, headers };
    const forwarded = http.request(onward, (reply) => {
      response.writeHead(reply.statusCode ?? 502, reply.headers);
      void pass(reply, response, fault);
    });
    forwarded.on("error", () => response.destroy());
    response.on("close", () => forwarded.destroy());
    request.pipe(forwarded);
  };
  const server = tls === undefined ? http.createServer(answer) : https.createServer(tls, answer);
  server.unref();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const front: FaultFront = {
    endpoint: `${tls === undefined ? "http" : "https"}://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    seen: [],
    fault: () => undefined,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return front;
}

async function pass(
  answer: http.IncomingMessage,
  response: http.ServerResponse,
  fault: Fault | undefined,
): Promise<void> {
  let passed = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      const room =
        fault !== undefined && "cutAfterBytes" in fault ? fault.cutAfterBytes - passed : Infinity;
      response.write(chunk.subarray(0, Math.min(chunk.length, room)));
      passed += chunk.length;
      if (chunk.length >= room) {
        // Let what was written leave before the connection breaks.
        setTimeout(() => response.destroy(), 50);
        return;
      }
      if (fault !== undefined && "bytesPerSecond" in fault) {
        const milliseconds = (chunk.length / fault.bytesPerSecond) * 1000;
        await new Promise((resolve) => setTimeout(resolve, milliseconds));
      }
    }
    response.end();
  } catch {
    response.destroy();
  }
}
