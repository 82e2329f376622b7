import { type Dashboard, graph, table, value } from "./panels.ts";

const budget = 0.005;
const burn = (window: string): string =>
  `service:request_errors:ratio_rate${window} / ${String(budget)}`;

export const serviceLevels: Dashboard = {
  uid: "service-levels",
  title: "Service levels",
  description:
    "99.5 % of requests succeed, 95 % are answered within 250 ms; how fast the rest is spent",
  rows: [
    {
      height: 5,
      panels: [
        value("Succeeded, 3 days", "percentunit", "1 - service:request_errors:ratio_rate3d", {
          at: 0.995,
          below: true,
        }),
        value("Within 250 ms, 3 days", "percentunit", "1 - service:request_slow:ratio_rate3d", {
          at: 0.95,
          below: true,
        }),
        value("Burn rate, 1 hour", "short", burn("1h"), { at: 14.4 }),
        value("Burn rate, 6 hours", "short", burn("6h"), { at: 6 }),
      ],
    },
    {
      height: 10,
      panels: [
        graph(
          "Burn rate of the error budget",
          "short",
          ["5m", "30m", "1h", "6h"].map((window) => ({ expr: burn(window), legend: window })),
        ),
        graph("Slow requests", "percentunit", [
          { expr: "service:request_slow:ratio_rate5m", legend: "5m" },
          { expr: "service:request_slow:ratio_rate1h", legend: "1h" },
        ]),
      ],
    },
    {
      height: 8,
      panels: [
        graph("Alerts that fire", "short", [
          { expr: 'count(ALERTS{alertstate="firing"}) or vector(0)', legend: "firing" },
          { expr: 'count(ALERTS{alertstate="pending"}) or vector(0)', legend: "pending" },
        ]),
      ],
    },
  ],
};

const step = "groundwork_step_duration_seconds";

export const provisioning: Dashboard = {
  uid: "provisioning",
  title: "Provisioning",
  description: "Groundwork's own work: steps, cache, bytes, failures",
  rows: [
    {
      height: 4,
      panels: [
        value("Steps", "short", `sum(${step}_count)`),
        value(
          "Cache hits",
          "percentunit",
          'sum(groundwork_cache_lookups_total{groundwork_cache_result="hit"}) / sum(groundwork_cache_lookups_total)',
        ),
        value("Fetched", "bytes", "sum(groundwork_fetched_bytes_total)"),
        value("Failures", "short", "sum(groundwork_failures_total) or vector(0)", { at: 1 }),
      ],
    },
    {
      height: 9,
      panels: [
        table(
          "Mean duration by step",
          "s",
          `sum by (groundwork_step) (${step}_sum) / sum by (groundwork_step) (${step}_count)`,
        ),
        table("Failures by code", "short", "sum by (error_type) (groundwork_failures_total)"),
      ],
    },
    {
      height: 9,
      panels: [
        graph("Spans of provisioning", "short", [
          {
            expr: 'sum by (span_name) (traces_span_metrics_calls_total{service_name="groundwork"})',
            legend: "{{span_name}}",
          },
        ]),
        { kind: "traces", title: "Runs", search: '{ resource.service.name = "groundwork" }' },
      ],
    },
  ],
};
