/**
 * Bash that adds what a script did to a file which node_exporter's textfile collector reads. Counters
 * grow over all runs on the host; those that a kill -9 interrupts are not counted.
 */
export const metricsLibrary = String.raw`
gw_code='' gw_counts=''
gw_count() { gw_counts+="$1 $2"$'\n'; } # SERIES INCREMENT

# gw_write_metrics STATUS: counts the run's steps and its failure; $gw_textfiles is the collector's folder.
gw_write_metrics() (
  [ -n "${"${gw_textfiles-}"}" ] && [ -d "$gw_textfiles" ] && [ -w "$gw_textfiles" ] || exit 0
  local step ms bytes file=$gw_textfiles/groundwork.prom
  if [ -n "$gw_code" ] || [ "$1" -ne 0 ]; then
    gw_count "groundwork_failures_total{code=\"${"${gw_code:-command-failed}"}\"}" 1
  fi
  while IFS=: read -r -d ' ' step ms bytes; do
    gw_count "groundwork_steps_total{step=\"$step\"}" 1
    gw_count "groundwork_step_seconds_total{step=\"$step\"}" "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
    gw_count "groundwork_step_bytes_total{step=\"$step\"}" "$bytes"
  done <<<"$gw_steps"
  [ -n "$gw_counts" ] || exit 0
  exec {lock}>/run/lock/groundwork-metrics.lock
  flock -w 5 "$lock" || exit 0
  { sed -n '/^groundwork_/p' "$file" 2>/dev/null || true; printf %s "$gw_counts"; } |
    awk '{ value = $NF; sub(/ [^ ]*$/, ""); sum[$0] += value } END { for (series in sum) printf "%s %.15g\n", series, sum[series] }' |
    sort | awk '
      { name = $1; sub(/[{].*/, "", name) }
      name != last { print "# TYPE " name " counter"; last = name }
      { print }' >"$file.$$" && chmod 0644 "$file.$$" && mv -f "$file.$$" "$file"
)
`.trim();

/** Where Debian's node_exporter looks for such files. */
export const defaultTextfiles = "/var/lib/prometheus/node-exporter";
