import { overrideFile } from "../../providers/compose-project/core/layout.ts";
import { GroundworkError } from "../../providers/errors.ts";

/** What a `.env` on a host says of its project. */
export interface HostSettings {
  composeFiles: string[];
  project: string;
  variables: Record<string, string>;
}

/** Reads the `.env` that an earlier deployment wrote, for one that changes files and not settings. */
export function parseHostSettings(text: string): HostSettings | undefined {
  const variables = Object.fromEntries(
    text.split("\n").flatMap((line) => {
      const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)='(.*)'$/.exec(line) ?? [];
      return name === undefined || value === undefined
        ? []
        : [[name, value.replaceAll("\\'", "'")]];
    }),
  ) as Record<string, string>;
  const { COMPOSE_FILE, COMPOSE_PROJECT_NAME, ...rest } = variables;
  if (COMPOSE_FILE === undefined || COMPOSE_PROJECT_NAME === undefined) return undefined;
  return {
    composeFiles: COMPOSE_FILE.split(":").filter((file) => file !== overrideFile),
    project: COMPOSE_PROJECT_NAME,
    variables: rest,
  };
}

/**
 * The host of a deployment as a URI: `deploy@192.168.122.250`, with a port where there is one.
 * @throws GroundworkError `bad-host`
 */
export function planHostUri(
  host: string,
  files: { key?: string; knownHosts?: string; config?: string },
): string {
  if (!/^([a-z_][a-z0-9_-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*(:\d{1,5})?$/.test(host))
    throw new GroundworkError({
      code: "bad-host",
      message: `Cannot deploy to "${host}": it is not [user@]host[:port].`,
      next: "Write it like deploy@192.168.122.250.",
    });
  const query = new URLSearchParams({
    ...(files.key !== undefined && { keyfile: files.key }),
    ...(files.knownHosts !== undefined && { known_hosts: files.knownHosts }),
    ...(files.config !== undefined && { config: files.config }),
  }).toString();
  return `ssh://${host}${query === "" ? "" : `?${query}`}`;
}

/**
 * Reads `NAME=value` settings; a bare `NAME` is a secret whose value is in the environment.
 * @throws GroundworkError `bad-setting`, `missing-secret`
 */
export function planSettings(
  settings: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): { environment: Record<string, string>; secrets: Record<string, string> } {
  const environment: Record<string, string> = {};
  const secrets: Record<string, string> = {};
  for (const setting of settings) {
    const [, name, , value] = /^([A-Za-z_][A-Za-z0-9_]*)(=(.*))?$/s.exec(setting) ?? [];
    if (name === undefined)
      throw new GroundworkError({
        code: "bad-setting",
        message: "A setting is not NAME=value, nor NAME.",
        next: "A secret is given by its name alone, with its value in the environment.",
      });
    if (value !== undefined) environment[name] = value;
    else {
      const secret = env[name];
      if (secret === undefined || secret === "")
        throw new GroundworkError({
          code: "missing-secret",
          message: `The secret ${name} is not in the environment.`,
          next: `Export ${name}, or write ${name}=value for what is no secret.`,
        });
      secrets[name] = secret;
    }
  }
  return { environment, secrets };
}
