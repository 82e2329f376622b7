import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parseConnection } from "./connection.ts";
import { readText } from "./run-context.ts";
import type { RunContext } from "./run-context.ts";
import { runOverSsh } from "./ssh.ts";
import { isSame, readSource } from "./values.ts";
import type { Source, Values } from "./values.ts";

/** What is copied: text, a file, a folder into the destination, or a folder's contents. */
type Copy =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "file" | "folder" | "contents"; readonly path: string };

/**
 * Takes one copy from standard input. As with `cp`: what is copied to an existing folder goes into it, and folders on
 * the way are made. New files get the modes that the server's umask gives, none is executable.
 */
const script = `
set -e
kind=$1; dest=$2; name=$3
fail() { printf '%s\\n' "$1" >&2; exit 1; }
case $kind in
  text)
    test ! -d "$dest" || fail "remote path $dest is a directory; when using a text asset, remotePath must be a file path"
    mkdir -p "$(dirname "$dest")"; cat > "$dest" ;;
  file)
    if test -d "$dest"; then dest=$dest/$name; else mkdir -p "$(dirname "$dest")"; fi
    cat > "$dest" ;;
  *)
    test ! -e "$dest" || test -d "$dest" || fail "remote path $dest exists but is not a directory"
    test "$kind" = contents || dest=$dest/$name
    test ! -e "$dest" || test -d "$dest" || fail "remote path $dest exists but is not a directory"
    mkdir -p "$dest"
    tar --no-same-owner --no-same-permissions -xmf - -C "$dest" ;;
esac
`;

/** True when the destination has to be written anew. */
export function needsCopy(state: Values, news: Values): boolean {
  return (
    !isSame(state["source"], news["source"]) ||
    readText(state, "remotePath") !== readText(news, "remotePath")
  );
}

/** Copies the source to a server. */
export async function copyToRemote(inputs: Values, context: RunContext): Promise<void> {
  const copy = planCopy(readSource(inputs["source"]));
  const remotePath = readText(inputs, "remotePath") ?? "";
  const result = await runOverSsh(
    parseConnection(inputs["connection"]),
    {
      script,
      words: [copy.kind, remotePath, copy.kind === "text" ? "" : path.basename(copy.path)],
      feed: (stdin) => feedCopy(copy, stdin),
      environment: {},
    },
    context,
  );
  if (result.code !== 0)
    throw new Error(`failed to copy to remote path ${remotePath}: ${result.stderr.trim()}`);
}

function planCopy(source: Source | undefined): Copy {
  if (source?.path === undefined) return { kind: "text", text: source?.text ?? "" };
  if (!fs.statSync(source.path).isDirectory()) return { kind: "file", path: source.path };
  return { kind: source.path.endsWith("/") ? "contents" : "folder", path: source.path };
}

async function feedCopy(copy: Copy, stdin: Writable): Promise<void> {
  switch (copy.kind) {
    case "text":
      return void stdin.end(copy.text);
    case "file":
      return pipeline(fs.createReadStream(copy.path), stdin).catch(ignoreEarlyEnd);
    default:
      return feedFolder(copy.path, stdin);
  }
}

async function feedFolder(folder: string, stdin: Writable): Promise<void> {
  const modes = "--mode=a-x,a+rwX";
  const tar = spawn("tar", ["-C", folder, "--dereference", modes, "-cf", "-", "."], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let complaint = "";
  tar.stderr.setEncoding("utf8").on("data", (text: string) => (complaint += text));
  const ended = new Promise<number | null>((resolve, reject) => {
    tar.on("error", reject).on("close", resolve);
  });
  await pipeline(tar.stdout, stdin).catch(ignoreEarlyEnd);
  const code = await ended;
  if (code !== 0 && complaint !== "") throw new Error(`cannot read ${folder}: ${complaint.trim()}`);
}

/** When the other side stops reading, its own exit status and words say why. */
function ignoreEarlyEnd(error: NodeJS.ErrnoException): void {
  const { code } = error;
  if (code !== "EPIPE" && code !== "ERR_STREAM_PREMATURE_CLOSE" && code !== "ECONNRESET")
    throw error;
}
