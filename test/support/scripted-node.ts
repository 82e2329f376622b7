import { execa } from "execa";
import * as fs from "node:fs";
import * as path from "node:path";
import { makeScratch, type Scratch } from "./scratch.ts";

/** Remembers what it was asked, and whether the unit runs. */
const systemctl = `#!/bin/bash
echo "$*" >>"$STATE/systemctl"
case $1 in
  is-active) cat "$STATE/active" 2>/dev/null || { echo inactive; exit 3; } ;;
  start | restart) echo active >"$STATE/active" ;;
esac
`;

/**
 * A machine on which scripts for nodes run, one after the other as root in a mount namespace of their
 * own, where /etc, /usr/local and /var/lib are the test's: only systemd is not there, and stood in for.
 * Needs ["root", "mountns"].
 */
export class ScriptedNode {
  readonly #scratch: Scratch = makeScratch("k3s-node");

  /** Writes a program or a file in a folder that the scripts see under the same path. */
  write(name: string, content: string): string {
    const target = path.join(this.#scratch.folder, name);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, content, { mode: 0o755 });
    return target;
  }

  /** Runs each script; returns what each printed, its errors and its exit code. */
  async run(scripts: readonly string[]): Promise<{ output: string; exitCode: number }[]> {
    const { folder } = this.#scratch;
    this.write("bin/systemctl", systemctl);
    const files = scripts.map((script, index) => this.write(`script-${String(index)}`, script));
    const driver = [
      "set -e",
      `mkdir -p ${folder}/layer && mount -t tmpfs tmpfs ${folder}/layer`,
      `export STATE=${folder}/layer PATH=${folder}/bin:$PATH`,
      "for each in etc usr/local var/lib; do",
      '  mkdir -p "$STATE/$each/up" "$STATE/$each/work"',
      '  mount -t overlay overlay -o "lowerdir=/$each,upperdir=$STATE/$each/up,workdir=$STATE/$each/work" "/$each"',
      "done",
      ...files.flatMap((each, index) => [
        `code=0; bash ${each} >${folder}/out-${String(index)} 2>&1 || code=$?`,
        `echo $code >${folder}/code-${String(index)}`,
      ]),
    ].join("\n");
    await execa("unshare", ["--mount", "--propagation", "private", "bash", "-c", driver]);
    const read = (name: string): string => fs.readFileSync(path.join(folder, name), "utf8");
    return scripts.map((_, index) => ({
      output: read(`out-${String(index)}`),
      exitCode: Number(read(`code-${String(index)}`)),
    }));
  }

  remove(): void {
    this.#scratch.remove();
  }
}
