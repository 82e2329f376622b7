/** Grafana's own schema of dashboards, of the release that is deployed; rendered dashboards are checked by these types. */
import type * as schema from "@grafana/schema";
import type * as logs from "@grafana/schema/dist/types/raw/composable/logs/panelcfg/x/LogsPanelCfg_types.gen.d.ts";
import type * as loki from "@grafana/schema/dist/types/raw/composable/loki/dataquery/x/LokiDataQuery_types.gen.d.ts";
import type * as nodeGraph from "@grafana/schema/dist/types/raw/composable/nodegraph/panelcfg/x/NodeGraphPanelCfg_types.gen.d.ts";
import type * as stat from "@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen.d.ts";
import type * as table from "@grafana/schema/dist/types/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen.d.ts";
import type * as tempo from "@grafana/schema/dist/types/raw/composable/tempo/dataquery/x/TempoDataQuery_types.gen.d.ts";
import type * as timeSeries from "@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen.d.ts";

/** A type of the schema as JSON has it: names where the schema has enumerations. */
type Written<T> = unknown extends T
  ? T
  : T extends string
    ? `${T}`
    : T extends readonly (infer Each)[]
      ? readonly Written<Each>[]
      : T extends object
        ? { [Name in keyof T]: Written<T[Name]> }
        : T;

export type FieldConfig<Custom> = Omit<Written<schema.FieldConfig>, "custom"> & { custom?: Custom };
export interface Fields<Custom> {
  readonly defaults: FieldConfig<Custom>;
  readonly overrides: readonly never[];
}
/** What a graph adds to the configuration of fields. */
export type GraphFields = Partial<Written<timeSeries.FieldConfig>>;
export type Thresholds = Written<schema.ThresholdsConfig>;

/** The schema has no type for queries of Prometheus beyond what all queries have. */
export type PrometheusQuery = Written<schema.DataQuery> & {
  expr: string;
  legendFormat: string;
  instant: boolean;
  range: boolean;
  exemplar?: boolean;
  format?: "time_series" | "table" | "heatmap";
};
export type LokiQuery = Written<loki.LokiDataQuery>;
export type TempoQuery = Written<Omit<tempo.TempoQuery, "queryType">> & {
  queryType: tempo.TempoQueryType;
};

export interface Targets<Target> {
  readonly datasource: Written<schema.DataSourceRef>;
  readonly targets: readonly Target[];
}

/** A panel of one kind. What its options leave out, Grafana has a default for. */
type PanelOf<Type extends string, Target, Options, Custom> = Omit<
  Written<schema.Panel>,
  "type" | "targets" | "options" | "fieldConfig"
> &
  Targets<Target> & {
    readonly type: Type;
    readonly options: Partial<Written<Options>>;
    readonly fieldConfig?: Fields<Partial<Written<Custom>>>;
  };

export type Graph = PanelOf<
  "timeseries",
  PrometheusQuery | LokiQuery,
  timeSeries.Options,
  timeSeries.FieldConfig
>;
export type Panel =
  | Graph
  | PanelOf<"stat", PrometheusQuery, stat.Options, object>
  | PanelOf<"table", PrometheusQuery | TempoQuery, table.Options, table.FieldConfig>
  | PanelOf<"logs", LokiQuery, logs.Options, object>
  | PanelOf<"nodeGraph", TempoQuery, nodeGraph.Options, object>;

export type Dashboard = Omit<Written<schema.Dashboard>, "panels" | "graphTooltip"> & {
  /** `DashboardCursorSync` of the schema: off, a common crosshair, common tooltips as well. */
  readonly graphTooltip: 0 | 1 | 2;
  readonly panels: readonly Panel[];
};
