import * as readline from "node:readline/promises";
import { GroundworkError } from "../../providers/errors.ts";

/**
 * Asks on the terminal, and goes on for the expected word only.
 *
 * @throws GroundworkError `not-confirmed`, also where nobody can be asked; `interrupted` at Ctrl-C.
 */
export async function confirm(
  question: string,
  word: string,
  input: NodeJS.ReadStream = process.stdin,
  output: NodeJS.WritableStream = process.stderr,
): Promise<void> {
  const refused = (seen: string): GroundworkError =>
    new GroundworkError({
      code: "not-confirmed",
      message: `Nothing was done: ${seen}.`,
      next: "Give --yes to do it without being asked.",
    });
  if (!input.isTTY) throw refused("there is no terminal to ask on");
  const terminal = readline.createInterface({ input, output });
  try {
    const answer = await terminal.question(`${question}\nType ${word} to go on: `);
    if (answer.trim() !== word) throw refused(`the answer was not ${word}`);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ABORT_ERR") throw cause;
    throw new GroundworkError({
      code: "interrupted",
      message: "Nothing was done: the question was interrupted.",
      next: "Run the same command again to be asked anew.",
      cause,
    });
  } finally {
    terminal.close();
  }
}
