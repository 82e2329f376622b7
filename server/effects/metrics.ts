import { Counter, Gauge, Registry } from "prom-client";

/** What /metrics tells, under the names of libvirt-volume-provisioner. */
export interface Metrics {
  countRequest(method: string, endpoint: string, status: number): void;
  countJob(status: string): void;
  render(): Promise<string>;
  readonly contentType: string;
}

export function createMetrics(activeJobs: () => number): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const requests = new Counter({
    name: "libvirt_volume_provisioner_requests_total",
    help: "Requests by method, endpoint and status",
    labelNames: ["method", "endpoint", "status"],
    registers,
  });
  const jobs = new Counter({
    name: "libvirt_volume_provisioner_jobs_total",
    help: "Jobs by the status that they took on",
    labelNames: ["status"],
    registers,
  });
  new Gauge({
    name: "libvirt_volume_provisioner_active_jobs",
    help: "Jobs at work now",
    registers,
    collect() {
      this.set(activeJobs());
    },
  });
  return {
    countRequest: (method, endpoint, status) => {
      requests.inc({ method, endpoint, status: String(status) });
    },
    countJob: (status) => {
      jobs.inc({ status });
    },
    render: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
