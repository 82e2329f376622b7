import { type Dashboard, graph, type Query, table, value } from "./panels.ts";

const real = 'fstype!~"tmpfs|overlay|squashfs"';
const used = `1 - node_filesystem_avail_bytes{${real}} / node_filesystem_size_bytes`;

export const host: Dashboard = {
  uid: "host",
  title: "Host",
  description: "The machine under the containers",
  rows: [
    {
      height: 4,
      panels: [
        value(
          "Processor",
          "percentunit",
          '1 - avg(rate(node_cpu_seconds_total{mode="idle"}[5m]))',
          { at: 0.9 },
        ),
        value(
          "Memory left",
          "percentunit",
          "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
          { at: 0.05, below: true },
        ),
        value("Fullest disk", "percentunit", `max(${used})`, { at: 0.9 }),
        value("Up for", "s", "time() - node_boot_time_seconds"),
      ],
    },
    {
      height: 9,
      panels: [
        graph(
          "Processor by mode",
          "percentunit",
          [
            {
              expr: 'avg by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[$__rate_interval]))',
              legend: "{{mode}}",
            },
          ],
          { stacked: true },
        ),
        graph("Memory", "bytes", [
          { expr: "node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes", legend: "used" },
          { expr: "node_memory_MemTotal_bytes", legend: "all" },
        ]),
      ],
    },
    {
      height: 9,
      panels: [
        graph("Disk, read and written", "Bps", [
          { expr: "sum(rate(node_disk_read_bytes_total[$__rate_interval]))", legend: "read" },
          { expr: "sum(rate(node_disk_written_bytes_total[$__rate_interval]))", legend: "written" },
        ]),
        graph("Network", "Bps", [
          {
            expr: 'sum(rate(node_network_receive_bytes_total{device!="lo"}[$__rate_interval]))',
            legend: "received",
          },
          {
            expr: 'sum(rate(node_network_transmit_bytes_total{device!="lo"}[$__rate_interval]))',
            legend: "sent",
          },
        ]),
      ],
    },
    {
      height: 8,
      panels: [
        table("File systems, used", "percentunit", used),
        graph("Load", "short", [
          { expr: "node_load1", legend: "1 min" },
          { expr: "node_load15", legend: "15 min" },
        ]),
      ],
    },
  ],
};

const perService = (expr: string): readonly Query[] => [
  { expr: `sum by (service) (${expr})`, legend: "{{service}}" },
];

export const containers: Dashboard = {
  uid: "containers",
  title: "Containers",
  description: "What each service uses of the machine, and how near it is to its limit",
  rows: [
    {
      height: 9,
      panels: [
        graph(
          "Processor",
          "percentunit",
          perService("rate(container_cpu_usage_seconds_total[$__rate_interval])"),
          { stacked: true },
        ),
        graph("Memory", "bytes", perService("container_memory_working_set_bytes"), {
          stacked: true,
        }),
      ],
    },
    {
      height: 9,
      panels: [
        table(
          "Memory, of the limit",
          "percentunit",
          "max by (service) (container_memory_working_set_bytes / (container_spec_memory_limit_bytes > 0))",
        ),
        graph(
          "Page faults that read from the disk",
          "short",
          perService(
            'rate(container_memory_failures_total{failure_type="pgmajfault", scope="container"}[$__rate_interval])',
          ),
        ),
        table("Running for", "s", "time() - max by (service) (container_start_time_seconds)"),
      ],
    },
  ],
};

const either = (name: string): string =>
  `(sum(rate(otelcol_${name}[$__rate_interval])) or vector(0))`;
const kinds = ["spans", "log_records"] as const;

export const collector: Dashboard = {
  uid: "collector",
  title: "Collector",
  description: "Whether telemetry arrives, and whether any is lost on the way",
  rows: [
    {
      height: 4,
      panels: [
        value(
          "Received",
          "short",
          "sum(rate(otelcol_receiver_accepted_spans[5m])) + sum(rate(otelcol_receiver_accepted_log_records[5m]))",
        ),
        value(
          "Lost",
          "short",
          kinds
            .flatMap((kind) => [
              `receiver_refused_${kind}`,
              `exporter_enqueue_failed_${kind}`,
              `exporter_send_failed_${kind}`,
            ])
            .map((name) => `(sum(rate(otelcol_${name}[5m])) or vector(0))`)
            .join(" + "),
          { at: 0.001 },
        ),
        value(
          "Fullest queue",
          "percentunit",
          "max(otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)",
          { at: 0.5 },
        ),
        value("Memory", "bytes", "otelcol_process_memory_rss", { at: 300e6 }),
      ],
    },
    {
      height: 9,
      panels: [
        graph(
          "Accepted",
          "short",
          kinds.map((kind) => ({ expr: either(`receiver_accepted_${kind}`), legend: kind })),
        ),
        graph(
          "Delivered",
          "short",
          kinds.map((kind) => ({ expr: either(`exporter_sent_${kind}`), legend: kind })),
        ),
      ],
    },
    {
      height: 9,
      panels: [
        graph(
          "Refused, or not delivered",
          "short",
          ["receiver_refused", "exporter_enqueue_failed", "exporter_send_failed"].flatMap((what) =>
            kinds.map((kind) => ({ expr: either(`${what}_${kind}`), legend: `${what} ${kind}` })),
          ),
        ),
        graph("Queues", "short", [
          { expr: "otelcol_exporter_queue_size", legend: "{{exporter}} {{data_type}}" },
        ]),
      ],
    },
    {
      height: 7,
      panels: [
        graph("Memory", "bytes", [{ expr: "otelcol_process_memory_rss", legend: "resident" }]),
        graph("Processor", "percentunit", [
          { expr: "rate(otelcol_process_cpu_seconds[$__rate_interval])", legend: "cores" },
        ]),
      ],
    },
  ],
};
