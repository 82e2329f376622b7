import { formatSeconds } from "./units.ts";

/** What a phase took, for the summary. */
export interface Timing {
  title: string;
  seconds: number;
}

/** Says what is being done, and how long it has taken so far. */
export interface Progress {
  /** A line below the phase that runs, with the seconds since the start of the phase. */
  report: (line: string) => void;
  /** Runs a phase between a heading and a closing line with its time. */
  phase: <T>(title: string, work: () => Promise<T>) => Promise<T>;
  /** The phases that ended well, in order. */
  readonly timings: readonly Timing[];
}

interface Terminal {
  write(text: string): unknown;
  isTTY?: boolean;
}

/**
 * Progress as plain lines, which a log keeps as they are, with colours on a terminal only.
 * @param now seconds, counted from anywhere
 * @param earlier phases that ended before this process began
 */
export function createProgress(
  terminal: Terminal,
  now: () => number = () => performance.now() / 1000,
  earlier: readonly Timing[] = [],
): Progress {
  const timings = [...earlier];
  let started = now();
  const paint = (code: number, text: string): string =>
    terminal.isTTY === true ? `\u001b[${String(code)}m${text}\u001b[0m` : text;

  function report(line: string): void {
    for (const part of line.trimEnd().split("\n"))
      terminal.write(`  ${paint(2, formatSeconds(now() - started).padStart(8))}  ${part}\n`);
  }

  async function phase<T>(title: string, work: () => Promise<T>): Promise<T> {
    started = now();
    const begun = started;
    const seconds = (): string => formatSeconds(now() - begun);
    terminal.write(`${paint(1, `▸ ${title}`)}\n`);
    try {
      const result = await work();
      timings.push({ title, seconds: now() - begun });
      terminal.write(`${paint(32, "✓")} ${title} ${paint(2, seconds())}\n`);
      return result;
    } catch (error) {
      terminal.write(`${paint(31, "✗")} ${title} ${paint(2, seconds())}\n`);
      throw error;
    }
  }

  return { report, phase, timings };
}

/** Splits what comes in pieces into whole lines; `end` gives out the rest. */
export function lineSplitter(onLine: (line: string) => void): {
  write: (text: string) => void;
  end: () => void;
} {
  let rest = "";
  return {
    write(text) {
      const lines = (rest + text).split(/\r?\n/);
      rest = lines.pop() ?? "";
      for (const line of lines) onLine(line);
    },
    end() {
      if (rest !== "") onLine(rest);
      rest = "";
    },
  };
}
