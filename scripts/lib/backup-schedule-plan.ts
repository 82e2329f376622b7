/** A backup that is to be taken again and again. */
export interface Schedule {
  stack: string;
  machine: string;
  /** Where `make` runs: the folder of this checkout. */
  checkout: string;
  /** What `make` shall find: folders, and nothing secret. */
  environment: Readonly<Record<string, string>>;
  /** systemd's calendar, such as `*-*-* 03:00:00`, or cron's five fields. */
  at: string;
  /** Options of `create`, such as `--keep-count 7`. */
  options: readonly string[];
}

/** Tell where tools, caches, state and the hypervisor are. A service of systemd has not even a HOME. */
const passedOn = [
  ...["PATH", "HOME", "XDG_CACHE_HOME", "GROUNDWORK_HOME", "GROUNDWORK_CACHE", "PULUMI_HOME"],
  ...["LIBVIRT_DEFAULT_URI", "GROUNDWORK_OBJECT_STORE_CREDENTIALS"], // the latter names a file
];

/** What of the environment a schedule passes on. */
export function planEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  return Object.fromEntries(
    passedOn.flatMap((name) => {
      const value = env[name];
      return value === undefined || value === "" ? [] : [[name, value]];
    }),
  );
}

const unitText = (text: string): string => text.replaceAll("%", "%%");
const quoted = (text: string): string =>
  `"${unitText(text).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
/** An argument, in which systemd would put variables. */
const argument = (text: string): string => quoted(text.replaceAll("$", "$$$$"));

/** The name of the units, without their suffixes. */
export function unitName({ stack, machine }: Pick<Schedule, "stack" | "machine">): string {
  return `groundwork-backup-${stack}-${machine}`;
}

/** A service and a timer for systemd, as files by name. */
export function renderUnits(schedule: Schedule): Record<string, string> {
  const { stack, machine, checkout, environment, at, options } = schedule;
  const name = unitName(schedule);
  const args = ["create", machine, ...options].join(" ");
  const variables = Object.entries(environment).map(
    ([variable, value]) => `Environment=${quoted(`${variable}=${value}`)}\n`,
  );
  return {
    [`${name}.service`]: `[Unit]
Description=Backup of machine ${machine} of stack ${stack}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
WorkingDirectory=${unitText(checkout)}
${variables.join("")}ExecStart=/usr/bin/env make --silent backup ${argument(`STACK=${stack}`)} ${argument(`ARGS=${args}`)}
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
  environment,
  at,
  options,
}: Schedule): string {
  const word = (text: string): string =>
    `'${text.replaceAll("'", `'\\''`)}'`.replaceAll("%", "\\%");
  const args = ["create", machine, ...options].join(" ");
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${word(value)} `);
  return `${at} cd ${word(checkout)} && ${variables.join("")}make --silent backup ${word(`STACK=${stack}`)} ${word(`ARGS=${args}`)}\n`;
}

/** Whether systemd or cron may be given this as a time; what it means is theirs to say. */
export function isTime(format: "systemd" | "cron", at: string): boolean {
  return format === "systemd"
    ? /^[A-Za-z0-9*,.:/~_+ -]{1,80}$/.test(at)
    : /^([A-Za-z0-9*,/-]+ ){4}[A-Za-z0-9*,/-]+$|^@(hourly|daily|weekly|monthly)$/.test(at);
}
