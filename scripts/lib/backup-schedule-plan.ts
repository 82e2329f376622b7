/** A backup that is to be taken again and again. */
export interface Schedule {
  stack: string;
  machine: string;
  /** Where `make` runs: the folder of this checkout. */
  checkout: string;
  /** What `make` shall find: the folders of tools. */
  searchPath: string;
  /** systemd's calendar, such as `*-*-* 03:00:00`, or cron's five fields. */
  at: string;
  /** Options of `create`, such as `--keep-count 7`. */
  options: readonly string[];
}

const unitText = (text: string): string => text.replaceAll("%", "%%");
const quoted = (text: string): string =>
  `"${unitText(text).replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("$", "$$$$")}"`;

/** The name of the units, without their suffixes. */
export function unitName({ stack, machine }: Pick<Schedule, "stack" | "machine">): string {
  return `groundwork-backup-${stack}-${machine}`;
}

/** A service and a timer for systemd, as files by name. */
export function renderUnits(schedule: Schedule): Record<string, string> {
  const { stack, machine, checkout, searchPath, at, options } = schedule;
  const name = unitName(schedule);
  const args = ["create", machine, ...options].join(" ");
  return {
    [`${name}.service`]: `[Unit]
Description=Backup of machine ${machine} of stack ${stack}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
WorkingDirectory=${unitText(checkout)}
Environment=${quoted(`PATH=${searchPath}`)}
ExecStart=/usr/bin/env make --silent backup ${quoted(`STACK=${stack}`)} ${quoted(`ARGS=${args}`)}
`,
    [`${name}.timer`]: `[Unit]
Description=When machine ${machine} of stack ${stack} is backed up

[Timer]
OnCalendar=${at}
Persistent=true
RandomizedDelaySec=300

[Install]
WantedBy=timers.target
`,
  };
}

/** A line for a crontab; `%` would end the command there. */
export function renderCron({
  stack,
  machine,
  checkout,
  searchPath,
  at,
  options,
}: Schedule): string {
  const word = (text: string): string =>
    `'${text.replaceAll("'", `'\\''`)}'`.replaceAll("%", "\\%");
  const args = ["create", machine, ...options].join(" ");
  return `${at} cd ${word(checkout)} && PATH=${word(searchPath)} make --silent backup ${word(`STACK=${stack}`)} ${word(`ARGS=${args}`)}\n`;
}

/** Whether systemd or cron may be given this as a time; what it means is theirs to say. */
export function isTime(format: "systemd" | "cron", at: string): boolean {
  return format === "systemd"
    ? /^[A-Za-z0-9*,.:/~_+ -]{1,80}$/.test(at)
    : /^([A-Za-z0-9*,/-]+ ){4}[A-Za-z0-9*,/-]+$|^@(hourly|daily|weekly|monthly)$/.test(at);
}
