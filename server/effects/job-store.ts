import { execa } from "execa";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";
import { GroundworkError } from "../../providers/errors.ts";
import { type Job, jobSchema } from "../core/jobs.ts";

/** Keeps each job in a file of its own, so that jobs outlive the server. */
export class JobStore {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Opens the jobs of a folder, for this process alone until it ends.
   * @param folder made where it is missing; readable by its owner only
   * @throws GroundworkError `jobs-in-use`; `jobs-unsafe` where others could put jobs into the folder
   */
  static async open(folder: string): Promise<JobStore> {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    refuseUnsafe(folder);
    fs.chmodSync(folder, 0o700);
    // The lock is held by a child that ends with us.
    const holder = execa(
      "flock",
      ["--nonblock", "--no-fork", folder, "sh", "-c", "echo; exec cat"],
      { stdin: "pipe", reject: false, buffer: false, detached: true, cleanup: true },
    );
    if (
      await Promise.race([once(holder.stdout, "data").then(() => true), holder.then(() => false)])
    )
      return new JobStore(folder);
    throw new GroundworkError({
      code: "jobs-in-use",
      message: `Another server works on the jobs in ${folder}.`,
      next: "End it, or name another folder with --jobs.",
    });
  }

  /** Every job; a file that is none, such as one cut short, is told and left alone. */
  load(): Job[] {
    const names = fs.readdirSync(this.#folder);
    // Of a server that was killed while it saved: the job before that stands beside it.
    for (const draft of names.filter((name) => name.endsWith(".draft")))
      fs.rmSync(this.#file(draft), { force: true });
    return names
      .filter((name) => name.endsWith(".json"))
      .flatMap((name) => {
        try {
          return [jobSchema.parse(JSON.parse(fs.readFileSync(this.#file(name), "utf8")))];
        } catch (error) {
          console.error(`${this.#file(name)} holds no job: ${(error as Error).message}`);
          return [];
        }
      });
  }

  save(job: Job): void {
    const draft = this.#file(`.${job.id}.draft`);
    fs.writeFileSync(draft, JSON.stringify(job), { mode: 0o600, flush: true });
    fs.renameSync(draft, this.#file(`${job.id}.json`));
    const folder = fs.openSync(this.#folder, "r");
    fs.fsyncSync(folder); // the rename, too, survives a power failure
    fs.closeSync(folder);
  }

  remove({ id }: Job): void {
    fs.rmSync(this.#file(`${id}.json`), { force: true });
  }

  #file(name: string): string {
    return path.join(this.#folder, name);
  }
}

/** A job is carried out with all that the server may do, so only its user may write one. */
function refuseUnsafe(folder: string): void {
  const { mode, uid } = fs.statSync(folder);
  const own = process.geteuid?.();
  if (uid === own && (mode & 0o022) === 0) return;
  throw new GroundworkError({
    code: "jobs-unsafe",
    message: `Cannot keep jobs in ${folder}: ${uid === own ? "its mode lets others write there" : "it belongs to another user"}.`,
    next: `Run \`chmod 0700 ${folder}\` once nothing in it is foreign, or name another folder with --jobs.`,
  });
}
