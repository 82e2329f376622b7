// Evaluated whole, for bash reads the text of a script that comes through a pipe byte by byte.
const run = 'bash -c \'eval "$(</dev/fd/3)"\' bash 3<<<"$script"';

/**
 * Scripts run on a host through one fixed command line, so that nothing of them, secrets included,
 * stands in an argument list. Their text travels on standard input, which then stays open as a
 * leash: when it ends (the program died, the connection dropped), the whole process group is ended.
 */
export const leashCommand = [
  "IFS= read -r size",
  'script=$(head -c "$size")',
  "exec 4<&0 5>&2 2>/dev/null", // the shell's own notices of how jobs end are nobody's business
  "set -m",
  `${run} </dev/null 4<&- 2>&5 5>&- &`,
  "child=$!",
  "exec 5>&-",
  "unset script",
  '{ while read -r _; do :; done <&4; kill -TERM -- "-$child"; sleep 5; kill -KILL -- "-$child"; } >/dev/null 2>&1 &',
  "leash=$!",
  'wait "$child"',
  "status=$?",
  'kill -KILL -- "-$leash"',
  '[ "$status" -ne 255 ] || status=254', // 255 is SSH's own
  'exit "$status"',
].join("\n");

/**
 * The command line for a script that reads data from its standard input, where they follow it. It has
 * no leash: it sees its input end early, and has to notice that something is missing.
 */
export const feedCommand = [
  "IFS= read -r size",
  'script=$(head -c "$size")',
  run,
  "status=$?",
  '[ "$status" -ne 255 ] || status=254',
  'exit "$status"',
].join("\n");

/** What goes to standard input: the length in bytes, then the script. */
export function frameScript(script: string): string {
  return `${String(Buffer.byteLength(script))}\n${script}`;
}

/** Quotes one word for a POSIX shell. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Quotes every word of a command for a POSIX shell. */
export function quoteAll(words: readonly string[]): string {
  return words.map(quote).join(" ");
}
