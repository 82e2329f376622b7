/** The services whose images can be made from packages and modules. */
export const imageNames = [
  "frontend",
  "backend",
  "otel-collector",
  "loki",
  "tempo",
  "prometheus",
  "alertmanager",
  "node-exporter",
  "cadvisor",
] as const;

export type ImageName = (typeof imageNames)[number];

/** Programs that come as files, built elsewhere. */
export type ProgramName = "otelcol" | "loki" | "tempo" | "healthcheck" | "cadvisor";

/** How an image is made, and how a container of it runs. */
export interface ImageRecipe {
  /** Debian packages that are unpacked, with all they depend on; none are configured. */
  readonly packages: readonly string[];
  /** Where only some of the packages' files are kept: paths without a leading slash. */
  readonly keep?: readonly string[];
  /** What is built in the project's own folder and put in: see `effects/applications.ts`. */
  readonly application?: "frontend" | "backend";
  /** Programs that are put into `usr/bin`. Every image has `/healthcheck` besides. */
  readonly programs: readonly ProgramName[];
  /** Folders that belong to the container's user; a new volume mounted there does as well. */
  readonly ownFolders: readonly string[];
  readonly entrypoint: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly workingFolder?: string;
}

/** The user and group that made images run as: `10001:10001`, as in the official images of Loki, Tempo and the collector. */
export const ownerId = 10001;

/** The release of Debian whose packages are used, on whatever release they are unpacked. */
export const debianRelease = "bookworm";

const libraries = ["lib", "lib64"];

export const imageRecipes: Readonly<Record<ImageName, ImageRecipe>> = {
  frontend: {
    packages: ["nginx-light"],
    application: "frontend",
    programs: [],
    ownFolders: [],
    // The error log is named here, since nginx opens one before it has read its configuration.
    entrypoint: ["/usr/sbin/nginx", "-e", "/dev/stderr", "-g", "daemon off;"],
  },
  backend: {
    packages: ["python3"],
    application: "backend",
    programs: [],
    ownFolders: ["data"],
    entrypoint: ["/usr/bin/python3", "-m", "taskmanager"],
    environment: { PYTHONPATH: "/app:/app/packages", PYTHONUNBUFFERED: "1" },
    workingFolder: "/app",
  },
  "otel-collector": {
    packages: [],
    programs: ["otelcol"],
    ownFolders: ["var/lib/otelcol"],
    entrypoint: ["/usr/bin/otelcol"],
  },
  loki: { packages: [], programs: ["loki"], ownFolders: ["loki"], entrypoint: ["/usr/bin/loki"] },
  tempo: {
    packages: [],
    programs: ["tempo"],
    ownFolders: ["var/tempo"],
    entrypoint: ["/usr/bin/tempo"],
  },
  prometheus: {
    packages: ["prometheus"],
    keep: [
      ...libraries,
      "usr/bin/prometheus",
      "usr/bin/promtool",
      "usr/share/prometheus",
      "usr/share/javascript",
    ],
    programs: [],
    ownFolders: ["prometheus"],
    entrypoint: ["/usr/bin/prometheus"],
  },
  alertmanager: {
    packages: ["prometheus-alertmanager"],
    keep: [
      ...libraries,
      "usr/bin/amtool",
      "usr/bin/prometheus-alertmanager",
      "usr/share/prometheus",
    ],
    programs: [],
    ownFolders: ["alertmanager"],
    entrypoint: ["/usr/bin/prometheus-alertmanager"],
  },
  "node-exporter": {
    packages: ["prometheus-node-exporter"],
    keep: [...libraries, "usr/bin/prometheus-node-exporter"],
    programs: [],
    ownFolders: [],
    entrypoint: ["/usr/bin/prometheus-node-exporter"],
  },
  cadvisor: {
    packages: [],
    programs: ["cadvisor"],
    ownFolders: [],
    entrypoint: ["/usr/bin/cadvisor"],
  },
};
