import { quote, quoteAll } from "../../host/core/script.ts";
import type { HttpCheck, ImageMode } from "./arguments.ts";
import { type Layout, overrideFile } from "./layout.ts";
import { prelude, renderCompose, renderContainers } from "./scripts.ts";
import { renderSmoke } from "./smoke.ts";

export interface Activation {
  layout: Layout;
  project: string;
  /** Folder name of the release to run. */
  release: string;
  /** Whether it waits in the staging folder; otherwise it runs already, and only services are down. */
  staged: boolean;
  /** The Compose file that we write over the project's own; goes with `staged`. */
  override: string;
  /** Names of the images that its services run. */
  imageNames: readonly string[];
  images: ImageMode;
  /** Services whose containers must go, though Compose would keep them. */
  discard: readonly string[];
  /** Whether services have a `build` section. */
  builds: boolean;
  checkScript?: string | undefined;
  smokeChecks: readonly HttpCheck[];
  smokeScript?: string | undefined;
  smokeArguments: readonly string[];
  upTimeoutSeconds: number;
  lockTimeoutSeconds: number;
  /** SHA-256 line of the state file as the plan saw it: when it is another, somebody came between. */
  stateDigest: string;
  /** The release that ran well before, to come back to. */
  good?: string | undefined;
  /** What to write as state once all is well. */
  state: string;
}

/**
 * Makes a staged release the one that runs, under the project's lock. Says `result`:
 *
 * - `done`; `busy`: the lock was not free in time; `moved`: the state is not as planned;
 * - `refused`: nothing was touched, for a reason in `reason`;
 * - `failed`: with `stage`, `reason`, `failed` (services and their logs) and `rollback`.
 */
export function renderActivate(activation: Activation): string {
  const { layout, project, release } = activation;
  return [
    prelude,
    renderCompose(project),
    renderContainers(project),
    `path=${quote(layout.path)} store=${quote(layout.store)} store_name=${quote(layout.storeName)}`,
    `project=${quote(project)} release=${quote(release)} good=${quote(activation.good ?? "")}`,
    `new="$store/${activation.staged ? "staging" : "releases"}/$release"`,
    `images=(${quoteAll(activation.imageNames)})`,
    "find_docker",
    'log=$(mktemp) && trap \'rm -f -- "$log" "$store/reserve"\' EXIT',
    `up() { compose "$path" up -d --wait --wait-timeout ${String(activation.upTimeoutSeconds)} --remove-orphans --no-build --pull never 9>&-; }`,
    helpers,
    renderDrop(activation.staged),
    renderSmoke(activation.smokeChecks, activation.smokeScript, activation.smokeArguments),
    'exec 9>>"$store/lock"',
    `flock -w ${String(activation.lockTimeoutSeconds)} 9 || { drop; say result busy; exit 0; }`,
    `[ "$(sha256sum <"$store/state.json" 2>/dev/null || true)" = ${quote(activation.stateDigest)} ] || { drop; say result moved; exit 0; }`,
    ...(activation.staged
      ? [`printf '%s' ${quote(activation.override)} >"$new"/${overrideFile}`]
      : []),
    "echo '@step images'",
    ...renderImages(activation.images, activation.staged && activation.builds),
    'for image in "${images[@]}"; do docker image inspect "$image" >/dev/null 2>&1 || refuse "the image $image is not on the host"; done',
    "echo '@step check'",
    'compose "$new" config --quiet >"$log" 2>&1 || refuse "$(tail -n 12 "$log")"',
    ...renderCheckScript(activation.checkScript),
    // What is to be noted at the end has room then, though the services should have filled the disk.
    'head -c 262144 /dev/zero >"$store/reserve" 2>"$log" || refuse "$(cat "$log")"',
    "echo '@step up'",
    `volumes_before=$(docker volume ls -q --filter "label=com.docker.compose.project=$project")`,
    ...(activation.staged ? ['mv -T -- "$new" "$store/releases/$release"'] : []),
    'new="$store/releases/$release"',
    'sync -f "$store"',
    'link "$release"',
    ...(activation.discard.length > 0
      ? [`compose "$path" rm --force --stop ${quoteAll(activation.discard)} >"$log" 2>&1 || true`]
      : []),
    `if ! up >"$log" 2>&1; then fail up "$(tail -n 8 "$log")"; fi`,
    "echo '@step smoke'",
    'if ! smoke >"$log" 2>&1; then fail smoke "$(tail -n 12 "$log")"; fi',
    'rm -f -- "$store/reserve"',
    'settle "$release"',
    ...(activation.staged
      ? ['remember_images >"$store/images.new" && mv -f -- "$store/images.new" "$store/images"']
      : []),
    `printf '%s' ${quote(activation.state)} >"$store/state.json.new"`,
    'if [ "$(id -u)" = 0 ]; then chown -R --no-dereference --reference="${path%/*}" -- "$store" "$path"; fi',
    'sync -f "$store"',
    'mv -f -- "$store/state.json.new" "$store/state.json"',
    "collect",
    "say result done",
  ].join("\n");
}

/** Brings the images while the previous ones still run. */
function renderImages(images: ImageMode, builds: boolean): string[] {
  const command = (words: string): string =>
    `compose "$new" ${words} >"$log" 2>&1 9>&- || refuse "$(tail -n 12 "$log")"`;
  return [
    ...(images === "pull" ? [command("pull --quiet --policy missing --ignore-buildable")] : []),
    ...(images !== "preload" && builds ? [command("build --quiet")] : []),
  ];
}

function renderCheckScript(script: string | undefined): string[] {
  if (script === undefined) return [];
  return [
    `(cd "$new" && run_script ./${quote(script)}) >"$log" 2>&1 </dev/null 9>&- || refuse "$(tail -n 40 "$log")"`,
  ];
}

/**
 * What was staged and will not run is removed, unless it is the one that does. Nothing else is: by now a
 * release that ran may be the one to come back to, with its folders mounted.
 */
function renderDrop(staged: boolean): string {
  return staged
    ? `drop() { [ "$(readlink "$path" 2>/dev/null || true)" = "$store_name/releases/$release" ] || rm -rf --one-file-system -- "$new"; }`
    : "drop() { :; }";
}

/** The parts of a deployment, in the shell's words. */
const helpers = `
refuse() { drop; say reason "$1"; say result refused; exit 0; }

# In one step: the path names the one release or the other at every moment.
link() { ln -sfn -- "$store_name/releases/$1" "$store/link" && mv -fT -- "$store/link" "$path"; }

remember_images() { local image; for image in "\${images[@]}"; do printf '%s %s\\n' "$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null || true)" "$image"; done; }
restore_images() {
  local id image
  touch "$store/images"
  while read -r id image; do
    case $id in sha256:*) docker tag "$id" "$image" 2>/dev/null || true ;; esac
  done <"$store/images"
}

# Every service that does not do what it is there for, with the end of its log.
report() {
  local id service status health code
  while IFS='|' read -r id service status health code; do
    case $status:$health in running: | running:healthy | created:*) continue ;; esac
    [ "$status:$code" != exited:0 ] || continue
    printf '%s|%s|%s|%s|%s\\n' "$service" "$status" "$health" "$code" "$(docker logs --tail 20 "$id" 2>&1 | base64 -w0)"
  done < <(containers)
}

# Containers that do not run give back what they wrote, which may be what the previous ones lack.
clear_failed() {
  local id service status health code
  while IFS='|' read -r id service status health code; do
    [ "$status" = running ] || [ "$status:$code" = exited:0 ] || docker rm -f "$id" >/dev/null 2>&1 || true
  done < <(containers)
}

fail() {
  say stage "$1"
  say reason "$2"
  say failed "$(report)"
  echo '@step rollback'
  rm -f -- "$store/reserve"
  if [ -n "$good" ] && [ -d "$store/releases/$good" ]; then
    clear_failed
    restore_images
    link "$good"
    if up >"$log" 2>&1; then settle "$good" || true; say rollback done; else say rollback "$(tail -n 8 "$log")"; fi
  else
    compose "$path" down --remove-orphans >"$log" 2>&1 || true
    local volume
    for volume in $(docker volume ls -q --filter "label=com.docker.compose.project=$project"); do
      grep -qxF -- "$volume" <<<"$volumes_before" || docker volume rm "$volume" >/dev/null 2>&1 || true
    done
    rm -f -- "$path"
    say rollback none
  fi
  drop
  say result failed
  exit 0
}

# Notes which release each container was made with, for it has that release's folders mounted.
settle() {
  local id service status health code made all='' ended=''
  while IFS='|' read -r id service status health code; do
    made=$(awk -v id="$id" '$1 == id { print $2 }' "$store/containers" 2>/dev/null || true)
    all+="$id \${made:-$1}"$'\\n'
    if [ "$status:$code" = exited:0 ]; then ended+="$service"$'\\n'; fi
  done < <(containers)
  printf '%s' "$all" >"$store/containers.new" && printf '%s' "$ended" >"$store/ended.new" &&
    mv -f -- "$store/containers.new" "$store/containers" && mv -f -- "$store/ended.new" "$store/ended"
}

# Removes the releases that neither run, nor are mounted, nor are the one to come back to, and what
# deployments that were cut had begun to stage.
collect() {
  local folder name
  for folder in "$store"/releases/*; do
    name=\${folder##*/}
    [ "$name" != "$release" ] && [ "$name" != "$good" ] || continue
    ! grep -q " $name\\$" "$store/containers" || continue
    rm -rf --one-file-system -- "$folder"
  done
  find "$store/staging" -mindepth 1 -maxdepth 1 -mmin +60 -exec rm -rf --one-file-system -- {} +
}`;
