import { isLoopback } from "./loopback.ts";

/** Who is asked for, and by which page: what a browser tells in its headers. */
export interface Asked {
  method: string;
  /** The header `Host`: `127.0.0.1:8080`. */
  host: string | undefined;
  /** The header `Origin`, which browsers send with whatever may change something. */
  origin: string | undefined;
}

/** Whom a server answers. */
export interface HostPolicy {
  /** Whether other hosts than those of loopback and `allowed` are turned away. */
  loopbackOnly: boolean;
  /** Further host names, in lower case, without a port. */
  allowed: readonly string[];
}

export interface Rejection {
  status: 403 | 421;
  error: string;
  message: string;
}

const harmless = ["GET", "HEAD", "OPTIONS"];

/**
 * Why a request is turned away, if it is: a page that a user of this machine looks at shall not reach
 * the server, neither under a name of its own that it lets point to this machine (DNS rebinding), nor
 * from its own origin.
 */
export function rejectBrowser(
  { method, host, origin }: Asked,
  { loopbackOnly, allowed }: HostPolicy,
): Rejection | undefined {
  const name = parseHostName(host);
  if (loopbackOnly && (name === undefined || !(isLocalName(name) || allowed.includes(name))))
    return {
      status: 421,
      error: "host not allowed",
      message: `This server does not answer for the host ${show(host)}. Ask for 127.0.0.1, [::1] or localhost, or start the server with --allow-host and that name.`,
    };
  if (origin === undefined || harmless.includes(method)) return undefined;
  const page = URL.canParse(origin) ? new URL(origin).host : "";
  const pageName = parseHostName(page);
  if (pageName !== undefined && (page === host?.toLowerCase() || allowed.includes(pageName)))
    return undefined;
  return {
    status: 403,
    error: "origin not allowed",
    message: `A page of ${show(origin)} may change nothing here. Start the server with --allow-host and that host if it should.`,
  };
}

/**
 * The host name of a header `Host`, in lower case, without port and brackets.
 * `undefined` when it is no host.
 */
export function parseHostName(host: string | undefined): string | undefined {
  const [, address, name] =
    /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::\d{1,5})?$/.exec(host ?? "") ?? [];
  return (address ?? name)?.toLowerCase();
}

function isLocalName(name: string): boolean {
  return name === "localhost" || isLoopback(name);
}

function show(header: string | undefined): string {
  return JSON.stringify((header ?? "").slice(0, 100));
}
