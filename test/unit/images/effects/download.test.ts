import * as assert from "node:assert/strict";
import { once } from "node:events";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { openUrl } from "../../../../images/effects/download.ts";

describe("openUrl", () => {
  let server: http.Server;
  let answer: http.RequestListener;
  const url = (): string => `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/a`;
  beforeEach(async () => {
    server = http.createServer((request, response) => {
      answer(request, response);
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
  });
  afterEach(() => {
    server.close().closeAllConnections();
  });

  it("lets a body take its time", async () => {
    answer = (_request, response) => {
      response.write("slow");
      setTimeout(() => response.end("ly"), 200);
    };
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    AbortSignal.timeout = () => timeout(100); // whatever limit is set, it is over before the body
    try {
      assert.equal(await (await openUrl(url())).text(), "slowly");
    } finally {
      AbortSignal.timeout = timeout;
    }
  });

  it("enters with the user and password of the URL", async () => {
    answer = (request, response) => response.end(request.headers.authorization);
    const login = await (await openUrl(url().replace("//", "//user:word@"))).text();
    assert.equal(login, `Basic ${Buffer.from("user:word").toString("base64")}`);
  });

  it("wants the file as it is, and refuses it encoded", async () => {
    answer = (request, response) => response.end(request.headers["accept-encoding"]);
    assert.equal(await (await openUrl(url())).text(), "identity");
    answer = (_request, response) => {
      response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("disk"));
    };
    await assert.rejects(openUrl(url()), /content-encoding "gzip"/);
    answer = (_request, response) => {
      response.writeHead(200, { "content-encoding": "aws-chunked" }).end("disk");
    };
    assert.equal(await (await openUrl(url())).text(), "disk");
  });

  it("says what a server answers that has it not", async () => {
    answer = (_request, response) => response.writeHead(404).end();
    await assert.rejects(openUrl(url()), /the server answers 404/);
  });
});
