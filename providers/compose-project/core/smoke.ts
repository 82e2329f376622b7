import { quoteAll } from "../../host/core/script.ts";
import type { HttpCheck } from "./arguments.ts";

const asker = `
ask() {
  exec 5<>"/dev/tcp/$1/$2" || return 1
  printf 'GET %s HTTP/1.0\\r\\nHost: %s\\r\\nUser-Agent: groundwork\\r\\nConnection: close\\r\\n\\r\\n' "$3" "$1:$2" >&5
  head -c 1048576 <&5
}
# Asks until the answer is right or the time is up, and says what was wrong with the last one.
expect() {
  local host=$1 port=$2 target=$3 status=$4 text=$5 seconds=$6 answer seen end
  end=$((SECONDS + seconds))
  while :; do
    answer=$(timeout 10 bash -c "$(declare -f ask)"'; ask "$@"' bash "$host" "$port" "$target" 2>/dev/null | tr -d '\\0') || answer=
    seen=\${answer#HTTP/1.[01] }
    seen=\${seen%%[!0-9]*}
    case $seen:$answer in "$status":*"$text"*) return 0 ;; esac
    if [ "$SECONDS" -ge "$end" ]; then break; fi
    sleep 1
  done
  if [ -z "$answer" ]; then echo "http://$host:$port$target does not answer"
  elif [ "$seen" != "$status" ]; then echo "http://$host:$port$target answers $seen and not $status"
  else echo "http://$host:$port$target answers without the text $text"; fi
  return 1
}`;

/** Defines `smoke`, which tells whether the project does its work, and else prints why not. */
export function renderSmoke(
  checks: readonly HttpCheck[],
  script?: string,
  words: readonly string[] = [],
): string {
  return [
    ...(checks.length > 0 ? [asker] : []),
    "smoke() {",
    ...checks.map((check) => `  expect ${quoteAll(wordsOf(check))} || return 1`),
    ...(script === undefined
      ? []
      : [
          `  (cd "$path" && run_script ./${quoteAll([script, ...words])}) </dev/null 9>&- || return 1`,
        ]),
    "  return 0",
    "}",
  ].join("\n");
}

function wordsOf({ url, status, contains = "", timeoutSeconds }: HttpCheck): string[] {
  const { hostname, port, pathname, search } = new URL(url);
  return [
    ...[hostname, port === "" ? "80" : port, `${pathname}${search}`],
    ...[String(status), contains, String(timeoutSeconds)],
  ];
}
