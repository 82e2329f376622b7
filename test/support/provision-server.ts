import * as assert from "node:assert/strict";
import { execa } from "execa";
import { once } from "node:events";
import * as http from "node:http";
import * as path from "node:path";
import { json } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import type { StatusResponse } from "../../server/core/schemas.ts";
import { tied, waitUntilReady } from "./scratch.ts";

const checkout = path.resolve(import.meta.dirname, "../..");
const program = path.join(checkout, "scripts/provision-server.ts");

interface Answer {
  status: number;
  body: Record<string, unknown>;
}

function launch(args: readonly string[]) {
  const [file, line] = tied("node", ["--import=tsx/esm", program, "--port", "0", ...args]);
  return execa(file, line, { cwd: checkout, reject: false, all: true, forceKillAfterDelay: false });
}

/** The provision server in a process of its own. */
export class Server {
  readonly #child: ReturnType<typeof launch>;
  readonly #said: string[] = [];

  constructor(args: readonly string[]) {
    this.#child = launch(args);
    this.#child.all.on("data", (chunk: Buffer) => this.#said.push(chunk.toString()));
  }

  get output(): string {
    return this.#said.join("");
  }

  async ready(): Promise<this> {
    await waitUntilReady(
      "the server",
      () => Promise.resolve(this.output.includes("listening")),
      () => this.output,
    );
    return this;
  }

  get url(): string {
    return /listening on (\S+)/.exec(this.output)?.[1] ?? "";
  }

  async end(signal: NodeJS.Signals): Promise<number | undefined> {
    this.#child.kill(signal);
    return (await this.#child).exitCode;
  }

  async ended(): Promise<number | undefined> {
    return (await this.#child).exitCode;
  }

  async ask(
    method: string,
    at: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    // Each over a connection of its own: the server may close an idle one just before it is used.
    const sent = http.request(`${this.url}${at}`, {
      ...{ method, agent: false },
      headers: { "Content-Type": "application/json", ...headers },
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    const [answer] = (await once(sent, "response")) as [http.IncomingMessage];
    return { status: answer.statusCode ?? 0, body: (await json(answer)) as Answer["body"] };
  }

  async start(body: unknown): Promise<string> {
    const { status, body: answer } = await this.ask("POST", "/api/v1/jobs", body);
    assert.equal(status, 202, JSON.stringify(answer));
    return String(answer["job_id"]);
  }

  async job(id: string): Promise<StatusResponse> {
    return (await this.ask("GET", `/api/v1/jobs/${id}`)).body as unknown as StatusResponse;
  }

  /** Waits until the job is so. */
  async until(id: string, so: (job: StatusResponse) => boolean): Promise<StatusResponse> {
    const end = Date.now() + 60_000;
    for (;;) {
      const job = await this.job(id);
      if (so(job)) return job;
      assert.ok(Date.now() < end, `still ${JSON.stringify(job)}: ${this.output}`);
      await sleep(50);
    }
  }

  done(id: string): Promise<StatusResponse> {
    return this.until(id, ({ status }) => !["pending", "running"].includes(status));
  }
}
