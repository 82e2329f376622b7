import { execa } from "execa";
import { GroundworkError } from "../../providers/errors.ts";
import { checkout } from "./environment.ts";
import type { ToolGroup } from "./tools-pins.ts";

/**
 * Has scripts/setup bring the tools of a group, which it does not bring to every lab.
 *
 * @throws GroundworkError `tools-missing`
 */
export async function setUp(group: ToolGroup, report: (line: string) => void): Promise<void> {
  const child = execa("scripts/setup", [`--${group}`], {
    ...{ cwd: checkout, all: true, reject: false, buffer: false },
    // sudo asks at the terminal, not at standard input.
    stdin: "inherit",
  });
  for await (const line of child.iterable({ from: "all" })) report(line);
  const { exitCode } = await child;
  if (exitCode === 0) return;
  throw new GroundworkError({
    code: "tools-missing",
    message: `The tools of the group "${group}" could not be set up; what kept them is said above.`,
    next: `Mend that, then run the same command again; \`scripts/setup --${group}\` does this step alone.`,
  });
}
