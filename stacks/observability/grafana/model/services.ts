import { type Dashboard, graph, logs, table, value } from "./panels.ts";

const requests = "http_server_request_duration_seconds";
const perRoute = "sum by (http_request_method, http_route)";
const route = "{{http_request_method}} {{http_route}}";
const errors = `(sum(rate(${requests}_count{http_response_status_code=~"5.."}[$__rate_interval])) or vector(0))`;
const quantile = (share: number): string =>
  `histogram_quantile(${String(share)}, sum by (le) (rate(${requests}_bucket[$__rate_interval])))`;

export const serviceOverview: Dashboard = {
  uid: "service-overview",
  title: "Service overview",
  description: "Rate, errors and duration of the Task Manager's requests, and who calls whom",
  rows: [
    {
      height: 4,
      panels: [
        value("Requests", "reqps", `sum(rate(${requests}_count[5m]))`),
        value(
          "Errors",
          "percentunit",
          `(sum(rate(${requests}_count{http_response_status_code=~"5.."}[5m])) or vector(0)) / sum(rate(${requests}_count[5m]))`,
          { at: 0.005 },
        ),
        value(
          "95th percentile",
          "s",
          `histogram_quantile(0.95, sum by (le) (rate(${requests}_bucket[5m])))`,
          { at: 0.25 },
        ),
        value("Open tasks", "short", 'taskmanager_tasks{state="open"}'),
        value("Targets down", "short", "sum(up == bool 0)", { at: 1 }),
      ],
    },
    {
      height: 9,
      panels: [
        graph("Requests by route", "reqps", [
          { expr: `${perRoute} (rate(${requests}_count[$__rate_interval]))`, legend: route },
        ]),
        graph(
          "Duration; a point is a trace",
          "s",
          [0.5, 0.95, 0.99].map((share) => ({
            expr: quantile(share),
            legend: `${String(share * 100)} %`,
          })),
          { exemplars: true },
        ),
      ],
    },
    {
      height: 9,
      panels: [
        graph("Answers by status", "reqps", [
          {
            expr: `sum by (http_response_status_code) (rate(${requests}_count[$__rate_interval]))`,
            legend: "{{http_response_status_code}}",
          },
          { expr: errors, legend: "all errors of the server" },
        ]),
        { kind: "serviceGraph", title: "Who calls whom" },
      ],
    },
    {
      height: 8,
      panels: [
        table(
          "Slowest routes, 95th percentile",
          "s",
          `topk(10, histogram_quantile(0.95, ${perRoute.replace(")", ", le)")} (rate(${requests}_bucket[5m]))))`,
        ),
        logs("Log of the backend", '{service_name="backend"}'),
      ],
    },
  ],
};

export const traces: Dashboard = {
  uid: "traces",
  title: "Traces",
  description: "Spans as metrics: how many, how long, which fail, between which services",
  rows: [
    {
      height: 9,
      panels: [
        graph("Spans by service and kind", "short", [
          {
            expr: "sum by (service_name, span_kind) (rate(traces_span_metrics_calls_total[$__rate_interval]))",
            legend: "{{service_name}} {{span_kind}}",
          },
        ]),
        graph(
          "95th percentile by span",
          "ms",
          [
            {
              expr: "histogram_quantile(0.95, sum by (le, service_name, span_name) (rate(traces_span_metrics_duration_milliseconds_bucket[$__rate_interval])))",
              legend: "{{service_name}} {{span_name}}",
            },
          ],
          { exemplars: true },
        ),
      ],
    },
    {
      height: 9,
      panels: [
        graph("Calls between services", "reqps", [
          {
            expr: "sum by (client, server) (rate(traces_service_graph_request_total[$__rate_interval]))",
            legend: "{{client}} → {{server}}",
          },
        ]),
        graph("Failed spans", "short", [
          {
            expr: 'sum by (service_name, span_name) (rate(traces_span_metrics_calls_total{status_code="STATUS_CODE_ERROR"}[$__rate_interval]))',
            legend: "{{service_name}} {{span_name}}",
          },
        ]),
      ],
    },
    {
      height: 10,
      panels: [
        { kind: "traces", title: "Traces that failed", search: "{ status = error }" },
        { kind: "traces", title: "Slow traces", search: "{ duration > 250ms }" },
      ],
    },
  ],
};

export const logDashboard: Dashboard = {
  uid: "logs",
  title: "Logs",
  description: "All that services say, with a link from each record to its trace",
  rows: [
    {
      height: 7,
      panels: [
        graph(
          "Records by service and severity",
          "short",
          [
            {
              expr: 'sum by (service_name, detected_level) (count_over_time({service_name=~".+"} [$__auto]))',
              legend: "{{service_name}} {{detected_level}}",
            },
          ],
          { source: "loki", stacked: true },
        ),
      ],
    },
    {
      height: 8,
      panels: [
        logs(
          "Warnings and errors",
          '{service_name=~".+"} | detected_level=~"warn|error|critical|fatal"',
        ),
      ],
    },
    { height: 14, panels: [logs("All records", '{service_name=~".+"}')] },
  ],
};
