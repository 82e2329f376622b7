import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { confirm } from "../../../scripts/lib/confirm.ts";

describe("confirm", () => {
  /** Asks on a terminal on which somebody types. */
  async function ask(typed: string, isTTY = true): Promise<void> {
    const terminal = (): NodeJS.ReadStream =>
      Object.assign(new PassThrough(), { isTTY, setRawMode: () => undefined }) as never;
    const input = terminal();
    const asked = confirm("Cluster lab goes back.", "lab", input, terminal());
    input.push(typed);
    await asked;
  }

  it("goes on for the word alone", async () => {
    await ask("lab\r");
    await assert.rejects(ask("yes\r"), { code: "not-confirmed" });
    await assert.rejects(ask("lab\r", false), { code: "not-confirmed" });
  });

  it("takes Ctrl-C for an interrupt", async () => {
    await assert.rejects(ask("\x03"), { code: "interrupted" });
  });
});
