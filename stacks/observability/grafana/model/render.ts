import type * as grafana from "./schema.ts";
import type { Dashboard, Panel, Query } from "./panels.ts";

const gridWidth = 24;

/** A dashboard as Grafana provisions it. */
export function renderDashboard({ uid, title, description, rows }: Dashboard): grafana.Dashboard {
  let id = 0;
  let y = 0;
  const panels: grafana.Panel[] = [];
  for (const { height, panels: row } of rows) {
    const width = Math.floor(gridWidth / row.length);
    for (const [column, panel] of row.entries()) {
      id += 1;
      const gridPos = { h: height, w: width, x: column * width, y };
      panels.push({ id, gridPos, title: panel.title, ...renderPanel(panel) });
    }
    y += height;
  }
  return {
    uid,
    title,
    description,
    tags: ["groundwork"],
    schemaVersion: 39,
    version: 1,
    editable: false,
    graphTooltip: 1,
    refresh: "10s",
    time: { from: "now-30m", to: "now" },
    timezone: "browser",
    annotations: { list: [] },
    templating: { list: [] },
    links: [
      {
        type: "dashboards",
        tags: ["groundwork"],
        title: "Groundwork",
        asDropdown: true,
        icon: "",
        includeVars: false,
        keepTime: true,
        targetBlank: false,
        tooltip: "",
      },
    ],
    panels,
  };
}

function renderPanel(panel: Panel): grafana.Panel {
  switch (panel.kind) {
    case "graph":
      return renderGraph(panel);
    case "value":
      return {
        type: "stat",
        ...prometheus([panel.query]),
        fieldConfig: fields(panel.unit, { thresholds: thresholds(panel.bad) }),
        options: { reduceOptions: { calcs: ["lastNotNull"] }, graphMode: "none" },
      };
    case "table":
      return {
        type: "table",
        ...prometheus([panel.query], { format: "table" }),
        fieldConfig: fields(panel.unit),
        options: { sortBy: [{ displayName: "Value", desc: true }] },
        transformations: [{ id: "organize", options: { excludeByName: { Time: true } } }],
      };
    case "logs":
      return {
        type: "logs",
        ...loki([panel.query]),
        options: {
          showTime: true,
          wrapLogMessage: true,
          enableLogDetails: true,
          sortOrder: "Descending",
          dedupStrategy: "none",
        },
      };
    case "traces":
      return {
        type: "table",
        ...tempo({ queryType: "traceql", query: panel.search, limit: 50, tableType: "traces" }),
        options: {},
      };
    case "serviceGraph":
      return { type: "nodeGraph", ...tempo({ queryType: "serviceMap" }), options: {} };
  }
}

function renderGraph(panel: Panel & { kind: "graph" }): grafana.Graph {
  const extra = panel.exemplars === true ? { exemplar: true } : {};
  const targets = panel.source === "loki" ? loki(panel.queries) : prometheus(panel.queries, extra);
  return {
    type: "timeseries",
    ...targets,
    fieldConfig: fields<grafana.GraphFields>(panel.unit, {
      min: 0,
      custom: {
        fillOpacity: panel.stacked === true ? 40 : 10,
        showPoints: "never",
        stacking: { mode: panel.stacked === true ? "normal" : "none" },
      },
    }),
    options: {
      legend: { calcs: [], displayMode: "list", placement: "bottom", showLegend: true },
      tooltip: { mode: "multi", sort: "desc" },
    },
  };
}

const fields = <Custom>(
  unit: string,
  more: grafana.FieldConfig<Custom> = {},
): grafana.Fields<Custom> => ({ defaults: { unit, ...more }, overrides: [] });

function thresholds(bad: { at: number; below?: boolean } | undefined): grafana.Thresholds {
  if (bad === undefined) return { mode: "absolute", steps: [{ color: "green", value: null }] };
  const [low, high] = bad.below === true ? ["red", "green"] : ["green", "red"];
  return {
    mode: "absolute",
    steps: [
      { color: low, value: null },
      { color: high, value: bad.at },
    ],
  };
}

const refId = (at: number): string => String.fromCharCode("A".charCodeAt(0) + at);

function prometheus(
  queries: readonly Query[],
  extra: Partial<grafana.PrometheusQuery> = {},
): grafana.Targets<grafana.PrometheusQuery> {
  const datasource = { type: "prometheus", uid: "prometheus" };
  const targets = queries.map(({ expr, legend, instant }, at) => ({
    refId: refId(at),
    datasource,
    expr,
    legendFormat: legend ?? "__auto",
    instant: instant === true,
    range: instant !== true,
    ...extra,
  }));
  return { datasource, targets };
}

function loki(queries: readonly Query[]): grafana.Targets<grafana.LokiQuery> {
  const datasource = { type: "loki", uid: "loki" };
  const targets = queries.map(({ expr, legend }, at) => ({
    refId: refId(at),
    datasource,
    expr,
    queryType: "range",
    ...(legend !== undefined && { legendFormat: legend }),
  }));
  return { datasource, targets };
}

function tempo(
  target: Omit<grafana.TempoQuery, "refId" | "filters">,
): grafana.Targets<grafana.TempoQuery> {
  const datasource = { type: "tempo", uid: "tempo" };
  return { datasource, targets: [{ refId: "A", datasource, filters: [], ...target }] };
}
