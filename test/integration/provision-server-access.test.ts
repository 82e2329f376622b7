import * as assert from "node:assert/strict";
import { once } from "node:events";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import type { Job } from "../../server/core/jobs.ts";
import { Server } from "../support/provision-server.ts";
import { makeScratch, type Scratch } from "../support/scratch.ts";

const request = { image_url: "http://127.0.0.1:1/images/a.qcow2" };

describe("access to the provision server", function () {
  this.timeout(60_000);
  let scratch: Scratch;
  let server: Server;
  let jobs = "";

  const argsOf = (folder: string): string[] => ["--volume-group", "none", "--jobs", folder];
  const host = (name: string): Record<string, string> => ({ Host: name });
  /** Sends bytes as they are, and returns all that comes until the server ends the connection. */
  const send = async (text: string): Promise<string> => {
    const { hostname, port } = new URL(server.url);
    const socket = net.connect(Number(port), hostname);
    let answer = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => (answer += chunk));
    socket.on("error", () => undefined); // reset, which is an end as well
    socket.write(text);
    await once(socket, "close");
    return answer;
  };

  before(async () => {
    scratch = makeScratch("provision-server");
    jobs = path.join(scratch.folder, "jobs");
    server = await new Server([...argsOf(jobs), "--allow-host", "Lab.example.org"]).ready();
  });
  after(async () => {
    await server.end("SIGTERM");
    scratch.remove();
  });

  it("is for the names of loopback and those of --allow-host, so that no page can rebind its own", async () => {
    for (const name of ["rebind.example.net", "127.0.0.1.example.net:80"])
      for (const [method, at] of [
        ...[["GET", "/healthz"] as const, ["GET", "/api/v1/cache"] as const],
        ["POST", "/api/v1/jobs"] as const,
      ]) {
        const { status, body } = await server.ask(method, at, undefined, host(name));
        assert.deepEqual([status, body["error"], body["code"]], [421, "host not allowed", 421]);
        assert.match(String(body["message"]), /--allow-host/);
      }
    const { port } = new URL(server.url);
    for (const name of [`localhost:${port}`, "127.0.0.2", `[::1]:${port}`, "lab.example.org"])
      assert.equal((await server.ask("GET", "/healthz", undefined, host(name))).status, 200, name);
    assert.match(await send("GET /healthz HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 4/);
  });

  it("lets no page of another origin start or end jobs", async () => {
    const id = "00000000-0000-4000-8000-000000000000";
    for (const Origin of ["https://evil.example.net", "null", "http://127.0.0.1:3000"])
      for (const [method, at, body] of [
        ["POST", "/api/v1/cache", request] as const,
        ["DELETE", `/api/v1/jobs/${id}`, undefined] as const,
      ]) {
        const answer = await server.ask(method, at, body, { Origin });
        assert.deepEqual([answer.status, answer.body["error"]], [403, "origin not allowed"]);
      }
    assert.deepEqual(fs.readdirSync(jobs), []);
    for (const Origin of [server.url, "https://lab.example.org"])
      assert.equal(
        (await server.ask("DELETE", `/api/v1/jobs/${id}`, undefined, { Origin })).status,
        404,
      );
  });

  it("refuses names for --allow-host that are none", async () => {
    for (const name of ["https://lab.example.org", "lab.example.org:80", "*"]) {
      const refused = new Server([
        ...argsOf(path.join(scratch.folder, "none")),
        "--allow-host",
        name,
      ]);
      assert.notEqual(await refused.ended(), 0);
      assert.match(refused.output, /It must be a host name/);
    }
  });

  it("refuses bodies that are too large or no JSON, and goes on", async () => {
    const large = { image_url: "x".repeat(2 ** 17) };
    const { status, body } = await server.ask("POST", "/api/v1/jobs", large);
    assert.deepEqual([status, body["error"]], [413, "request too large"]);
    const post = "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    const typed = `${post}Content-Type: application/json\r\n`;
    const chunk = `8000\r\n${"x".repeat(2 ** 15)}\r\n`;
    const chunked = `${typed}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(3)}0\r\n\r\n`;
    assert.match(await send(chunked), /^HTTP\/1\.1 413 /);
    assert.match(await send(`${typed}Content-Length: 2\r\n\r\n{x`), /^HTTP\/1\.1 400 .*Malformed/s);
    const text = JSON.stringify(request);
    const plain = `${post}Content-Type: text/plain\r\nContent-Length: ${String(text.length)}\r\n\r\n`;
    assert.match(await send(plain + text), /^HTTP\/1\.1 415 /);
    assert.equal((await server.ask("GET", "/healthz")).status, 200);
  });

  it("does not wait for clients that say nothing", async () => {
    const began = Date.now();
    const stuck = [
      "GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
      "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
    ];
    const answers = await Promise.all(stuck.map(send));
    for (const answer of answers) assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.ok(Date.now() - began < 40_000);
  });

  it("takes an id for no path", async () => {
    for (const id of ["..%2f..%2fetc%2fpasswd", "..", "%00", "x".repeat(5000)])
      assert.match(String((await server.ask("GET", `/api/v1/jobs/${id}`)).status), /^40[04]$/, id);
    assert.equal((await server.ask("DELETE", "/api/v1/cache/..%2f..%2fx")).status, 400);
  });

  it("keeps jobs for its user's eyes only", async () => {
    const { body } = await server.ask("POST", "/api/v1/cache", request);
    const file = path.join(jobs, `${String(body["job_id"])}.json`);
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    assert.equal(fs.statSync(jobs).mode & 0o777, 0o700);
    await server.done(String(body["job_id"]));
  });

  it("works on no folder into which others could put jobs, and clears up what a kill left", async () => {
    const open = path.join(scratch.folder, "open");
    fs.mkdirSync(open);
    fs.chmodSync(open, 0o777);
    const refused = new Server(argsOf(open));
    assert.equal(await refused.ended(), 1);
    assert.match(refused.output, /its mode lets others write there. Run `chmod 0700 /);
    fs.chmodSync(open, 0o755);
    fs.writeFileSync(path.join(open, ".0.draft"), "{");
    fs.writeFileSync(path.join(open, "bad.json"), "{");
    const taken = await new Server(argsOf(open)).ready();
    assert.equal(fs.statSync(open).mode & 0o777, 0o700);
    assert.deepEqual(fs.readdirSync(open), ["bad.json"]);
    assert.match(taken.output, /bad\.json holds no job/);
    await taken.end("SIGTERM");
  });

  it("refuses tokens that every user can read, or that are not there", async () => {
    const file = path.join(scratch.folder, "tokens");
    fs.writeFileSync(file, "0123456789abcdef\n");
    fs.chmodSync(file, 0o644);
    for (const [named, text] of [
      [file, /every user of this machine may read/],
      [`${file}.none`, /ENOENT/],
    ] as const) {
      const refused = new Server([...argsOf(jobs), "--tokens", named]);
      assert.equal(await refused.ended(), 1);
      assert.match(refused.output, text);
      assert.doesNotMatch(refused.output, /\n {4}at /); // no stack trace
    }
  });

  it("takes on only so many jobs", async () => {
    const full = path.join(scratch.folder, "full");
    fs.mkdirSync(full, { mode: 0o700 });
    const now = new Date().toISOString();
    for (let count = 0; count < 1010; count += 1) {
      const id = `00000000-0000-4000-8000-${String(count).padStart(12, "0")}`;
      const image = { endpoint: "http://127.0.0.1:1", bucket: "images", key: "a.qcow2" };
      const job: Job = {
        ...{ id, work: { kind: "provision", image, volumeName: "one", sizeGiB: 1 } },
        ...{ status: "pending", createdAt: now, updatedAt: now },
      };
      fs.writeFileSync(path.join(full, `${id}.json`), JSON.stringify(job));
    }
    const busy = await new Server(argsOf(full)).ready();
    const { status, body } = await busy.ask("POST", "/api/v1/cache", request);
    assert.deepEqual([status, body["error"]], [429, "too many jobs"]);
    await busy.end("SIGTERM");
  });
});
