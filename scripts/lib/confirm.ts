import * as readline from "node:readline/promises";
import { GroundworkError } from "../../providers/errors.ts";

/**
 * Asks on the terminal, and goes on for the expected word only.
 *
 * @throws GroundworkError `not-confirmed`, also where nobody can be asked.
 */
export async function confirm(question: string, word: string): Promise<void> {
  const refused = (seen: string): GroundworkError =>
    new GroundworkError({
      code: "not-confirmed",
      message: `Nothing was done: ${seen}.`,
      next: "Give --yes to do it without being asked.",
    });
  if (!process.stdin.isTTY) throw refused("there is no terminal to ask on");
  const terminal = readline.createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${question}\nType ${word} to go on: `);
    if (answer.trim() !== word) throw refused(`the answer was not ${word}`);
  } finally {
    terminal.close();
  }
}
