import * as path from "node:path";

/** The folder with the SSH files of a stack: config, known_hosts and the key. */
export function sshFolder(home: string, stack: string): string {
  return path.posix.join(home, "ssh", stack);
}

/** The command that enters a machine, to be run in `cwd`. */
export function planSshCommand(options: {
  home: string;
  stack: string;
  machine: string;
  cwd: string;
}): string {
  const config = path.posix.join(sshFolder(options.home, options.stack), "config");
  const relative = path.posix.relative(options.cwd, config);
  const shown = relative.startsWith("..") ? config : relative;
  return `ssh -F ${/^[A-Za-z0-9_./+@-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", `'\\''`)}'`} ${options.machine}`;
}
