/** Panels in the terms of this lab; `render.ts` turns them into Grafana's. */

/** A query, and what its series are called: `{{label}}` is replaced. */
export interface Query {
  readonly expr: string;
  readonly legend?: string;
  /** Only the newest value. */
  readonly instant?: boolean;
}

/** Unit of Grafana, such as `reqps`, `s`, `percentunit`, `bytes`, `short`. */
type Unit = string;

export type Panel =
  | {
      readonly kind: "graph";
      readonly title: string;
      readonly unit: Unit;
      readonly queries: readonly Query[];
      /** Shows the traces behind the graph. */
      readonly exemplars?: boolean;
      readonly stacked?: boolean;
      readonly source?: "prometheus" | "loki";
    }
  | {
      readonly kind: "value";
      readonly title: string;
      readonly unit: Unit;
      readonly query: Query;
      /** From where on the value is bad; `below` when a low one is. */
      readonly bad?: { readonly at: number; readonly below?: boolean };
    }
  | { readonly kind: "table"; readonly title: string; readonly unit: Unit; readonly query: Query }
  | { readonly kind: "logs"; readonly title: string; readonly query: Query }
  | { readonly kind: "traces"; readonly title: string; readonly search: string }
  | { readonly kind: "serviceGraph"; readonly title: string };

/** Panels side by side, of equal width. */
export interface Row {
  readonly height: number;
  readonly panels: readonly Panel[];
}

export interface Dashboard {
  /** Stable: links name it. The file is called so as well. */
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly Row[];
}

export const graph = (
  title: string,
  unit: Unit,
  queries: readonly Query[],
  options: Partial<Pick<Panel & { kind: "graph" }, "exemplars" | "stacked" | "source">> = {},
): Panel => ({ kind: "graph", title, unit, queries, ...options });

export const value = (
  title: string,
  unit: Unit,
  expr: string,
  bad?: { at: number; below?: boolean },
): Panel => ({ kind: "value", title, unit, query: { expr, instant: true }, ...(bad && { bad }) });

export const table = (title: string, unit: Unit, expr: string): Panel => ({
  kind: "table",
  title,
  unit,
  query: { expr, instant: true },
});

export const logs = (title: string, expr: string): Panel => ({
  kind: "logs",
  title,
  query: { expr },
});
