import assert from "node:assert/strict";
import { pulumiLines } from "../../../scripts/lib/pulumi-lines.ts";

function through(...lines: string[]): string[] {
  const shown: string[] = [];
  const write = pulumiLines((line) => shown.push(line));
  for (const line of lines) write(line);
  return shown;
}

describe("pulumiLines", () => {
  const stack = "pulumi:pulumi:Stack groundwork-local";

  it("gives the message of a provider without Pulumi's prefix", () => {
    assert.deepEqual(
      through(
        ` +  ${stack} creating (0s) `,
        ` +  ${stack} creating (31s) vm1-root: writing the image, 24 %`,
        `    ${stack} running vm1: 5 s: no answer yet`,
        ` +  ${stack} created (90s) `,
        ` +  ${stack} **creating failed (1077s)** 1 error; 211 messages`,
        `    ${stack}  `,
      ),
      ["vm1-root: writing the image, 24 %", "vm1: 5 s: no answer yet"],
    );
  });

  it("does not repeat messages in the diagnostics, and keeps errors there", () => {
    assert.deepEqual(
      through(
        ` +  ${stack} creating (31s) vm1: 5 s: no answer yet`,
        "Diagnostics:",
        "  pulumi:pulumi:Stack (groundwork-local):",
        "    vm1: 5 s: no answer yet",
        "    error: Cannot reach the store",
      ),
      [
        "vm1: 5 s: no answer yet",
        "Diagnostics:",
        "  pulumi:pulumi:Stack (groundwork-local):",
        "    error: Cannot reach the store",
      ],
    );
  });

  it("shortens the types of resources and keeps what happened to them", () => {
    assert.deepEqual(
      through(
        " +  pulumi-nodejs:dynamic/groundwork:ImageVolume vm1-root creating (0s) ",
        " +  pulumi-nodejs:dynamic/groundwork:ImageVolume vm1-root created (13s) ",
        " ~  libvirt:index:Domain vm1 updating (0s) [diff: ~memory]",
        " -  libvirt:index:Domain vm1 deleting failed error: busy",
        " ++ libvirt:index:Domain vm1 creating replacement (0s) ",
      ),
      [
        "+ ImageVolume vm1-root creating",
        "+ ImageVolume vm1-root created (13s)",
        "~ Domain vm1 updating [diff: ~memory]",
        "- Domain vm1 deleting failed error: busy",
        "++ Domain vm1 creating replacement",
      ],
    );
  });

  it("drops empty lines and advice that is not ours", () => {
    assert.deepEqual(
      through(
        "Updating (local):",
        "  ",
        "If you want to remove the stack completely, run `pulumi stack rm local`.",
        "    + 14 created",
      ),
      ["Updating (local):", "    + 14 created"],
    );
  });
});
