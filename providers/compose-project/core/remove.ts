import { quote } from "../../host/core/script.ts";
import type { Layout } from "./layout.ts";
import { prelude, renderCompose } from "./scripts.ts";

/**
 * Takes a project down and removes its files; its volumes only where `deleteData` says so. Prints
 * `foreign`, having touched nothing, where it belongs to somebody else. Does nothing where it is gone.
 */
export function renderRemove(
  layout: Layout,
  options: {
    project: string;
    owner: string;
    deleteData: boolean;
    lockTimeoutSeconds: number;
  },
): string {
  const { project, owner, deleteData, lockTimeoutSeconds } = options;
  const filter = `--filter label=com.docker.compose.project=${project}`;
  return [
    prelude,
    renderCompose(project),
    `path=${quote(layout.path)} store=${quote(layout.store)}`,
    '[ -d "$store" ] || { say result done; exit 0; }',
    `[ "$(cat "$store/owner" 2>/dev/null || true)" = ${quote(owner)} ] || { say result foreign; exit 0; }`,
    'exec 9>>"$store/lock"',
    `flock -w ${String(lockTimeoutSeconds)} 9 || { say result busy; exit 0; }`,
    "if find_docker; then",
    `  if [ -e "$path/.env" ]; then compose "$path" down --remove-orphans >&2 9>&- || true; fi`,
    // Whatever the files say by now: what bears the project's label is the project's.
    `  left=$(docker ps -aq ${filter}); [ -z "$left" ] || docker rm -f $left >/dev/null`,
    `  left=$(docker network ls -q ${filter}); [ -z "$left" ] || docker network rm $left >/dev/null`,
    ...(deleteData
      ? [
          `  left=$(docker volume ls -q ${filter}); [ -z "$left" ] || docker volume rm $left >/dev/null`,
        ]
      : []),
    "elif command -v docker >/dev/null; then say result silent; exit 0; fi",
    'if [ -L "$path" ]; then rm -f -- "$path"; fi',
    'rm -rf --one-file-system -- "$store"',
    "say result done",
  ].join("\n");
}
