import { hkdfSync } from "node:crypto";

/** An image of the stack that is loaded from the object store. */
export interface StackImage {
  /** The variable of the Compose project that names it. */
  variable: string;
  image: string;
  key: string;
  sha256?: string | undefined;
}

export interface StackWish {
  images: "pull" | "build" | "preload";
  archives: readonly StackImage[];
  httpPort: number;
  /** The name of the Pulumi stack, which telemetry bears as its deployment. */
  deployment: string;
}

export interface StackPlan {
  composeFiles: string[];
  environment: Record<string, string>;
  /** Grafana's image can be pulled and not be made. */
  grafana: boolean;
}

/** At which pipelines ask for the page, beside `httpPort`; compose.smoke-port.yaml publishes it. */
const smokePort = 8080;

/** Which of the project's Compose files make it up, and with which settings. */
export function planStack({ images, archives, httpPort, deployment }: StackWish): StackPlan {
  const grafana = images === "pull";
  return {
    composeFiles: [
      "compose.yaml",
      images === "pull" ? "compose.pull.yaml" : "compose.build.yaml",
      ...(httpPort === smokePort ? [] : ["compose.smoke-port.yaml"]),
    ],
    environment: {
      COMPOSE_PROFILES: grafana ? "grafana" : "",
      HTTP_PORT: String(httpPort),
      DEPLOYMENT: deployment,
      ...Object.fromEntries(archives.map(({ variable, image }) => [variable, image])),
    },
    grafana,
  };
}

export interface StackUrls {
  frontend: string;
  backend: string;
  prometheus: string;
  /** Undefined where Grafana does not run. */
  grafana?: string;
}

/** Where the stack's services are reached. */
export function planUrls(address: string, httpPort: number, { grafana }: StackPlan): StackUrls {
  const at = (port: number): string => `http://${address}${port === 80 ? "" : `:${String(port)}`}/`;
  return {
    frontend: at(httpPort),
    backend: at(5000),
    prometheus: at(9090),
    ...(grafana && { grafana: at(3000) }),
  };
}

/**
 * A password of 32 letters and digits that follows from a private key: the same for the same key and
 * purpose, as nothing is drawn by lot. A new key pair gives a new one.
 */
export function derivePassword(privateKey: string, purpose: string): string {
  const bytes = Buffer.from(hkdfSync("sha256", privateKey, "groundwork", purpose, 96));
  return bytes
    .toString("base64")
    .replaceAll(/[^A-Za-z0-9]/g, "")
    .slice(0, 32);
}
