import { randomUUID } from "node:crypto";
import { GroundworkError } from "../../providers/errors.ts";
import {
  applyReport,
  expired,
  type Job,
  recoverJob,
  type Report,
  startable,
  type Work,
} from "../core/jobs.ts";
import type { JobStore } from "./job-store.ts";
import { type RunningWorker, startWorker, type Target } from "./worker-process.ts";

/** As many as libvirt-volume-provisioner: more only make each other slower. */
const jobsAtOnce = 2;
/** Jobs that ended are remembered up to this number. */
const endedJobs = 1000;
/** So many wait at most: each is a file, and a client that repeats itself must not fill the disk. */
const waitingJobs = 1000;

export type CancelResult = "cancelled" | "unknown" | "ended";

/** Runs jobs, a few at a time, and keeps them in the store; what was running goes on after a restart. */
export class JobQueue {
  readonly #jobs = new Map<string, Job>();
  readonly #workers = new Map<string, RunningWorker>();
  readonly #store: JobStore;
  readonly #target: Target;
  readonly #onStatus: (status: Job["status"]) => void;
  #started = false;

  /** @param onStatus told each time that a job takes on a status */
  constructor(store: JobStore, target: Target, onStatus: (status: Job["status"]) => void) {
    [this.#store, this.#target, this.#onStatus] = [store, target, onStatus];
    for (const job of store.load()) this.#jobs.set(job.id, recoverJob(job));
  }

  /** Begins to work, first on what an earlier run left. */
  start(): void {
    this.#started = true;
    this.#pump();
  }

  /**
   * Takes a job on; once this returns, the job is on disk.
   * @throws GroundworkError `too-many-jobs`
   */
  add(work: Work, correlationId?: string): Job {
    const waiting = [...this.#jobs.values()].filter(({ status }) => status === "pending").length;
    if (waiting >= waitingJobs)
      throw new GroundworkError({
        code: "too-many-jobs",
        message: `${String(waiting)} jobs are waiting already.`,
        next: "Try again when some of them have ended.",
      });
    const now = new Date().toISOString();
    const job: Job = {
      ...{ id: randomUUID(), work, status: "pending", createdAt: now, updatedAt: now },
      ...(correlationId !== undefined && { correlationId }),
    };
    this.#store.save(job); // before anybody hears of it
    this.#jobs.set(job.id, job);
    this.#onStatus(job.status);
    this.#pump();
    return job;
  }

  get(id: string): Job | undefined {
    return this.#jobs.get(id);
  }

  get activeJobs(): number {
    return this.#workers.size;
  }

  /** Ends a job. When this resolves to `cancelled`, nothing of it runs any more, on the host either. */
  async cancel(id: string): Promise<CancelResult> {
    const job = this.#jobs.get(id);
    if (job === undefined) return "unknown";
    if (job.status !== "pending" && job.status !== "running") return "ended";
    const worker = this.#workers.get(id);
    if (worker === undefined) this.#cancelled(job);
    await worker?.stop();
    this.#workers.delete(id);
    const now = this.#jobs.get(id);
    if (now?.status === "running") this.#cancelled(now);
    this.#pump();
    return this.#jobs.get(id)?.status === "cancelled" ? "cancelled" : "ended";
  }

  /** Ends every worker; the next server starts their jobs again. */
  async stop(): Promise<void> {
    this.#started = false;
    await Promise.all([...this.#workers.values()].map((worker) => worker.stop()));
  }

  #cancelled(job: Job): void {
    this.#set({ ...job, status: "cancelled", updatedAt: new Date().toISOString() });
  }

  #set(job: Job): void {
    const before = this.#jobs.get(job.id);
    this.#jobs.set(job.id, job);
    // Progress is not worth a write.
    if (before?.status === job.status && before.generation === job.generation) return;
    try {
      this.#store.save(job);
    } catch (error) {
      // The work counts; at worst the next server does it once more, of the same generation.
      console.error(`Cannot save job ${job.id}: ${(error as Error).message}`);
    }
    if (before?.status !== job.status) this.#onStatus(job.status);
    for (const old of expired([...this.#jobs.values()], endedJobs)) {
      this.#jobs.delete(old.id);
      this.#store.remove(old);
    }
  }

  #pump(): void {
    if (!this.#started) return;
    for (const job of startable([...this.#jobs.values()], jobsAtOnce)) {
      const running: Job = { ...job, status: "running", updatedAt: new Date().toISOString() };
      this.#set(running);
      const onReport = (report: Report): void => {
        const now = this.#jobs.get(job.id) ?? running;
        this.#set(applyReport(now, report, new Date().toISOString()));
      };
      const onEnd = (): void => {
        this.#workers.delete(job.id);
        this.#pump();
      };
      this.#workers.set(job.id, startWorker(this.#target, job, onReport, onEnd));
    }
  }
}
