import { gzipSync } from "node:zlib";
import { quote } from "../../host/core/script.ts";
import { environmentFile, type Layout, overrideFile } from "./layout.ts";
import type { ManifestEntry, ProjectFile } from "./manifest.ts";
import { roomFunction } from "./room.ts";

/**
 * What every script starts with: `say key text` tells us something as a record that no program's
 * output is taken for, and `docker` is Docker's, by sudo where the user may not use it himself.
 */
export const prelude = [
  "set -euo pipefail",
  "umask 022",
  `say() { printf '@%s\\t%s\\n' "$1" "$(printf '%s' "$2" | base64 -w0)"; }`,
  "by_sudo=no",
  `docker() { if [ "$by_sudo" = yes ]; then sudo -n -- docker "$@"; else command docker "$@"; fi; }`,
  // A script of the project calls docker by itself: it gets docker's group where we need sudo.
  "run_script() {",
  '  [ "$by_sudo" = yes ] || { "$@"; return; }',
  "  local groups; groups=$(id -G | tr ' ' ,),$(getent group docker | cut -d: -f3)",
  '  sudo -n -- setpriv --reuid "$(id -u)" --regid "$(id -g)" --groups "${groups%,}" -- env HOME="$HOME" "$@"',
  "}",
  "engine=", // not printed: in a subshell, by_sudo would be lost
  "find_docker() {",
  "  command -v docker >/dev/null || return 1",
  "  engine=$(command docker version --format '{{.Server.Version}}' 2>/dev/null) && return 0",
  "  if sudo -n true 2>/dev/null; then by_sudo=yes; fi",
  "  engine=$(docker version --format '{{.Server.Version}}' 2>/dev/null)",
  "}",
].join("\n");

/**
 * Defines `compose`, which runs Compose for the tree at its first argument. Which files make it up is
 * told by its own `.env`: the project to come back to may be made of others.
 */
export function renderCompose(project: string): string {
  return [
    "compose() {",
    "  local tree=$1 names name files=()",
    "  shift",
    `  names=$(sed -n "s/^COMPOSE_FILE='\\(.*\\)'\\$/\\1/p" "$tree"/${environmentFile})`,
    "  while IFS= read -r -d : name; do",
    // Paths as they are given, for with the link's target in them every release would be a new service.
    `    files+=(-f "$tree/\${name//"\\'"/"'"}")`,
    '  done <<<"$names:"',
    `  docker compose --ansi never --progress quiet -p ${project} --project-directory "$tree" "\${files[@]}" --env-file "$tree"/${environmentFile} "$@"`,
    "}",
  ].join("\n");
}

// Fields by their names in Docker's types: by those in its JSON, a container without health is an error.
const containerFormat =
  '{{.ID}}|{{index .Config.Labels "com.docker.compose.service"}}|{{.State.Status}}|{{if .State.Health}}{{.State.Health.Status}}{{end}}|{{.State.ExitCode}}';

/** Defines `containers`, which prints a line for each container of the project. */
export function renderContainers(project: string): string {
  const label = (name: string, value: string): string =>
    `--filter label=com.docker.compose.${name}=${value}`;
  return [
    "containers() {",
    "  local ids",
    `  ids=$(docker ps -aq --no-trunc ${label("project", project)} ${label("oneoff", "False")})`,
    `  [ -z "$ids" ] || docker inspect --format ${quote(containerFormat)} $ids`,
    "}",
  ].join("\n");
}

/** Looks at everything that a plan depends on, in one go; changes nothing. */
export function renderObserve(layout: Layout, project: string): string {
  const { path, store, storeName } = layout;
  return [
    prelude,
    roomFunction,
    renderContainers(project),
    `path=${quote(path)} store=${quote(store)}`,
    "find_docker || engine=",
    'say engine "$engine"',
    `if [ -n "$engine" ]; then say compose "$(docker compose version --short 2>/dev/null || true)"; listed=$(containers); say containers "$listed"; fi`,
    'folders=("$store")',
    `if [ -n "$engine" ]; then folders+=("$(docker info --format '{{.DockerRootDir}}' 2>/dev/null || true)"); fi`,
    'say disks "$(for folder in "${folders[@]}"; do printf \'%s %s\\n\' "$(room "$folder")" "$folder"; done)"',
    'say owner "$(cat "$store/owner" 2>/dev/null || true)"',
    'target=$(readlink "$path" 2>/dev/null || true)',
    `case $target in ${quote(`${storeName}/releases/`)}*) say release "\${target##*/}" ;;`,
    '  *) if [ -e "$path" ] || [ -L "$path" ]; then say occupied yes; fi ;;',
    "esac",
    'say state "$(cat "$store/state.json" 2>/dev/null || true)"',
    'say stateDigest "$(sha256sum <"$store/state.json" 2>/dev/null || true)"',
    'say ended "$(cat "$store/ended" 2>/dev/null || true)"',
    `if [ -d "$path/" ]; then cd "$path/"`,
    `  printf '@modes\\t%s\\n' "$(find . ! -type d ! -path ./${overrideFile} -printf '%m %P\\0' | base64 -w0)"`,
    `  printf '@sums\\t%s\\n' "$(find . ! -type d ! -path ./${overrideFile} -print0 | xargs -0r sha256sum -z -- | base64 -w0)"`,
    "fi",
  ].join("\n");
}

/** A heredoc's worth of lines, whose end no line can be: paths hold no such name. */
function lines(items: readonly string[]): string {
  return `<<'@END'\n${items.map((item) => `${item}\n`).join("")}@END`;
}

const parents = (files: readonly ManifestEntry[]): string[] =>
  [...new Set(files.flatMap(({ path }) => ancestors(path)))].sort();

function ancestors(path: string): string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

/** Makes the folder of a release that is being staged, with all its folders. */
export function renderStageStart(
  layout: Layout,
  stage: string,
  options: { owner: string; files: readonly ManifestEntry[] },
): string {
  return [
    prelude,
    `parent=${quote(layout.parent)} store=${quote(layout.store)} stage=${quote(stage)}`,
    // What root makes below somebody's home is theirs.
    'mkdir -p -- "$parent"',
    'mkdir -p -- "$store/releases" "$store/staging"',
    `[ -s "$store/owner" ] || printf '%s\\n' ${quote(options.owner)} >"$store/owner"`,
    `[ "$(cat "$store/owner")" = ${quote(options.owner)} ]`,
    'mkdir -m 0755 -- "$stage"',
    `(cd "$stage" && xargs -r -d '\\n' mkdir -p -m 0755 --) ${lines(parents(options.files))}`,
  ].join("\n");
}

/** A path, or the shell's variable that holds it. */
const shellPath = (path: string): string => (path === "$stage" ? '"$stage"' : quote(path));

/** Copies files that did not change from the tree that runs. */
export function renderStageCopy(layout: Layout, stage: string, paths: readonly string[]): string {
  if (paths.length === 0) return ":";
  return [
    `(cd ${quote(layout.path)}/ && xargs -r -d '\\n' cp --reflink=auto --no-dereference --parents -t ${shellPath(stage)} --) ${lines(paths)}`,
  ].join("\n");
}

/** Writes files into a tree, their content in the script itself. */
export function renderStageFiles(stage: string, files: readonly ProjectFile[]): string {
  return [
    `cd ${shellPath(stage)}`,
    ...files.map(({ path, content, mode }) => {
      const packed = gzipSync(content).toString("base64");
      const target = quote(path);
      // A secret is at no time readable by others.
      return `( umask ${mode === "0600" ? "077" : "022"}; base64 -d <<'@END' | gzip -d >./${target}\n${packed}\n@END\n)`;
    }),
  ].join("\n");
}

/** Sets the modes, gives the tree to whom the place belongs, and holds every file to its digest. */
export function renderStageEnd(
  layout: Layout,
  stage: string,
  files: readonly ManifestEntry[],
): string {
  const modes = [...new Set(files.map(({ mode }) => mode))];
  return [
    `cd ${quote(stage)}`,
    ...modes.map((mode) => {
      const paths = files.filter((file) => file.mode === mode).map(({ path }) => `./${path}`);
      return `xargs -r -d '\\n' chmod ${mode} -- ${lines(paths)}`;
    }),
    `sha256sum --check --quiet --strict - ${lines(files.map(({ path, sha256 }) => `${sha256}  ./${path}`))}`,
    `if [ "$(id -u)" = 0 ]; then chown -R --no-dereference --reference=${quote(layout.parent)} -- ${quote(layout.store)}; fi`,
  ].join("\n");
}

/** Has Compose resolve the tree at `$stage`; says `root` and `model`, or `invalid` with its reason. */
function renderResolve(project: string): string {
  return [
    "find_docker",
    renderCompose(project),
    `[ -e "$stage"/${overrideFile} ] || echo '{"services":{}}' >"$stage"/${overrideFile}`,
    'errors=$(mktemp) && say root "$stage"',
    `if model=$(compose "$stage" config --format json 2>"$errors"); then say model "$model"; else say invalid "$(cat "$errors")"; fi`,
    'rm -f "$errors"',
  ].join("\n");
}

/** Has Compose resolve a release that has been staged. */
export function renderModel(stage: string, project: string): string {
  return [prelude, `stage=${quote(stage)}`, renderResolve(project)].join("\n");
}

/**
 * Has Compose resolve a tree that is not there yet, in a temporary folder that is gone afterwards.
 *
 * @param sent the files whose content goes along; `kept` lie in the tree that runs
 */
export function renderPreviewModel(
  layout: Layout,
  options: { project: string; sent: readonly ProjectFile[]; kept: readonly string[] },
): string {
  const { project, sent, kept } = options;
  return [
    prelude,
    `stage=$(mktemp -d) && trap 'rm -rf -- "$stage"' EXIT`,
    `(cd "$stage" && xargs -r -d '\\n' mkdir -p --) ${lines(parents(sent))}`,
    renderStageCopy(layout, "$stage", kept),
    renderStageFiles("$stage", sent),
    renderResolve(project),
  ].join("\n");
}
